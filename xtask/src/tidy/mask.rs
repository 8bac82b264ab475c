//! Rust source with comments and literals blanked out, so that a check looks at code alone.
use std::path::{Path, PathBuf};

/// A Rust file as the checks see it.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The text with comments and the insides of literals replaced by spaces; line breaks are where they were.
    pub(super) code: String,
    /// For every line, whether it belongs to a `#[cfg(test)]` item.
    pub(super) in_tests: Vec<bool>,
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        let code = blank(text);
        let in_tests = test_lines(&code);
        Self { path: path.to_path_buf(), text: text.to_owned(), code, in_tests }
    }

    /// Line numbers (from 1) and code of the lines outside of `#[cfg(test)]` items.
    pub(super) fn code_outside_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.numbered_code().filter(|(number, _)| !self.in_tests[number - 1])
    }

    pub(super) fn numbered_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Whether `word` stands in `code` as a whole word.
pub(super) fn has_word(code: &str, word: &str) -> bool {
    let part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back().is_some_and(part_of_word);
        let after = code[start + word.len()..].chars().next().is_some_and(part_of_word);
        !before && !after
    })
}

/// Replaces comments and the insides of string and character literals by spaces.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(letter) = rest.chars().next() {
        let part_of_word = previous.is_alphanumeric() || previous == '_';
        let length = comment(rest)
            .or_else(|| if part_of_word && letter != '"' { None } else { literal(rest) });
        match length {
            Some(length) => {
                code.extend(
                    rest[..length].chars().map(|inside| if inside == '\n' { '\n' } else { ' ' }),
                );
                rest = &rest[length..];
                previous = ' ';
            }
            None => {
                code.push(letter);
                rest = &rest[letter.len_utf8()..];
                previous = letter;
            }
        }
    }
    code
}

/// The length of the comment that `text` starts with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut position) = (0, 0);
    while position < text.len() {
        let rest = &text[position..];
        if rest.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return Some(position);
            }
        } else {
            position += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(text.len())
}

/// The length of the string or character literal that `text` starts with, its prefix (`b`, `c`, `r#`) included.
fn literal(text: &str) -> Option<usize> {
    let without_prefix = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - without_prefix.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = without_prefix.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let opening = prefix + 1 + hashes + 1;
            let closing = format!("\"{}", "#".repeat(hashes));
            return Some(
                text[opening..]
                    .find(&closing)
                    .map_or(text.len(), |end| opening + end + closing.len()),
            );
        }
        return None;
    }
    match without_prefix.chars().next()? {
        '"' => Some(prefix + quoted(without_prefix, '"')?),
        // `'a` without a closing quote is a lifetime.
        '\'' if without_prefix[1..].starts_with('\\') => {
            Some(prefix + quoted(without_prefix, '\'')?)
        }
        '\'' => {
            let inside = without_prefix[1..].chars().next()?;
            without_prefix[1 + inside.len_utf8()..]
                .starts_with('\'')
                .then_some(prefix + inside.len_utf8() + 2)
        }
        _ => None,
    }
}

/// The length of the literal from its opening quote to its closing one, over escapes.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (position, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return Some(position + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// Marks the lines from each `#[cfg(test)]` to the end of the item that it stands on.
fn test_lines(code: &str) -> Vec<bool> {
    let mut marks = vec![false; code.lines().count()];
    let mut from = 0;
    while let Some(found) =
        code[from..].find("#[cfg(test)]").or_else(|| code[from..].find("#[cfg(all(test"))
    {
        let start = from + found;
        let end = item_end(code, start);
        let first = code[..start].matches('\n').count();
        let last = first + code[start..end].matches('\n').count();
        marks.iter_mut().take(last + 1).skip(first).for_each(|mark| *mark = true);
        from = end;
    }
    marks
}

/// The end of the item after the attribute at `start`: its closing brace, or its semicolon.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_i32;
    for (position, letter) in code[start..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth <= 0 {
                    return start + position + 1;
                }
            }
            ';' if depth == 0 => return start + position + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Source, blank, has_word};

    fn kept(text: &str) -> String {
        blank(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_vanish_and_code_stays() {
        assert_eq!(kept("a /* x /* y */ z */ b // c\nd"), "a b d");
        assert_eq!(kept(r#"f("unsafe \" still", b"x", c"y") g"#), "f( , , ) g");
        assert_eq!(kept(r###"f(r#"unsafe " still"#, br"x") g"###), "f( , ) g");
        assert_eq!(
            kept("match c { '\"' => 1, '\\'' => 2, 'ß' => 3 }"),
            "match c { => 1, => 2, => 3 }"
        );
        assert_eq!(
            kept("fn f<'a>(x: &'a str) -> &'static str { x }"),
            "fn f<'a>(x: &'a str) -> &'static str { x }"
        );
        assert_eq!(kept("let br = r#type; let c = crab(b);"), "let br = r#type; let c = crab(b);");
    }

    #[test]
    fn lines_stay_where_they_were() {
        let text = "a\n/* b\nc */\n\"d\ne\"\nf\n";
        assert_eq!(blank(text).matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn test_modules_are_told_from_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x { y } }\n}\nfn c() {}\n#[cfg(test)]\nuse d;\nfn e() {}\n";
        let source = Source::new(Path::new("a.rs"), text);
        assert_eq!(source.in_tests, [false, true, true, true, true, false, true, true, false]);
    }

    #[test]
    fn a_part_of_a_word_is_not_the_word() {
        assert!(has_word("unsafe { f() }", "unsafe"));
        assert!(!has_word("deny(unsafe_code)", "unsafe"));
    }
}
