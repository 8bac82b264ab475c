//! The IDX format of MNIST (LeCun, Cortes & Burges 1998): a magic number, big-endian dimensions, bytes; plain or gzip.

use std::io::Read;
use std::path::Path;

use super::DataError;

/// An IDX file of unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxFile {
    /// Its dimensions, outermost first.
    pub dimensions: Vec<usize>,
    /// Its bytes, in row-major order.
    pub values: Vec<u8>,
}

/// No file that this reader is meant for is larger: MNIST's training images take 47 MB.
const MAX_BYTES: u64 = 4 << 30;

impl IdxFile {
    /// Reads a file of `rank` dimensions, gzip where it begins as gzip does.
    ///
    /// # Errors
    /// Where the file is absent, is not gzip or IDX, holds something else than bytes, has another rank, or is shorter or
    /// longer than its header says.
    pub fn read(path: &Path, rank: usize) -> Result<Self, DataError> {
        let raw = std::fs::read(path)
            .map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        let fail = |reason: String| DataError::Format { path: path.to_owned(), reason };
        let bytes = if raw.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::MultiGzDecoder::new(raw.as_slice()).take(MAX_BYTES);
            decoder
                .read_to_end(&mut plain)
                .map_err(|e| fail(format!("the gzip stream is damaged or cut short: {e}")))?;
            plain
        } else {
            raw
        };
        let [zero_0, zero_1, kind, found_rank, ref rest @ ..] = bytes[..] else {
            return Err(fail(format!("{} bytes are too few for an IDX header", bytes.len())));
        };
        if (zero_0, zero_1, kind) != (0, 0, 8) {
            let magic = u32::from_be_bytes([zero_0, zero_1, kind, found_rank]);
            return Err(fail(format!(
                "magic number {magic:#010x}: expected 0x0000080{rank}, an IDX file of bytes"
            )));
        }
        if usize::from(found_rank) != rank {
            return Err(fail(format!("the file has {found_rank} dimensions, expected {rank}")));
        }
        if rest.len() < 4 * rank {
            return Err(fail("the file ends within its header".into()));
        }
        let (header, values) = rest.split_at(4 * rank);
        let dimensions: Vec<usize> = header
            .chunks_exact(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
            .collect();
        let expected = dimensions.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if expected != Some(values.len()) {
            return Err(fail(format!(
                "the header says {dimensions:?}, but {} bytes follow it",
                values.len()
            )));
        }
        Ok(Self { dimensions, values: values.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3];
        bytes.extend([1, 2, 3, 4, 5, 6]);
        bytes
    }

    fn read(bytes: &[u8], rank: usize) -> Result<IdxFile, DataError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        IdxFile::read(file.path(), rank)
    }

    #[test]
    fn plain_and_gzip_give_the_same() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&sample()).unwrap();
        let zipped = read(&encoder.finish().unwrap(), 3).unwrap();
        assert_eq!(zipped, read(&sample(), 3).unwrap());
        assert_eq!(zipped.dimensions, [2, 1, 3]);
        assert_eq!(zipped.values, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn damaged_files_are_named_with_their_fault() {
        let message = |bytes: &[u8], rank| read(bytes, rank).unwrap_err().to_string();
        assert!(message(&[], 3).contains("too few"));
        assert!(message(b"PNG image", 3).contains("magic number"));
        assert!(message(&sample()[..20], 3).contains("4 bytes follow"));
        assert!(message(&sample()[..9], 3).contains("within its header"));
        assert!(message(&sample(), 1).contains("has 3 dimensions, expected 1"));
        let mut lying = sample();
        lying[4..16].fill(0xff);
        assert!(message(&lying, 3).contains("6 bytes follow"));
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&sample()).unwrap();
        let zipped = encoder.finish().unwrap();
        assert!(message(&zipped[..zipped.len() - 9], 3).contains("gzip stream is damaged"));
    }
}
