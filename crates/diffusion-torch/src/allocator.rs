//! The C allocator, tuned for a training loop.

/// Makes the C allocator keep freed memory instead of returning it to the system; returns whether it took the settings.
///
/// A training step allocates and frees the same large tensors again and again. glibc maps blocks over a threshold afresh
/// and unmaps them when freed, and every fresh page costs a fault and is zeroed. With the thresholds raised a step took 0.9
/// of the time on small networks; the process holds on to its peak memory in return. It concerns the whole process, so a
/// binary calls it once at its start, and a library never does. Does nothing (`false`) where the allocator is not glibc's.
pub fn keep_freed_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// glibc takes no more than half of its heap limit.
        const LARGEST_MMAP_THRESHOLD: libc::c_int = 32 << 20;
        const TRIM_THRESHOLD: libc::c_int = libc::c_int::MAX;
        // SAFETY: mallopt takes two ints, locks the arena itself, and returns 0 for what it does not take.
        let mmap = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) };
        // SAFETY: as above.
        let trim = unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD) };
        mmap == 1 && trim == 1
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        false
    }
}
