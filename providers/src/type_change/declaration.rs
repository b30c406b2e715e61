//! The text of a type taken apart: its words, and what stands in parentheses.

/// A type such as `timestamp(3) with time zone`: the words `timestamp with time zone` and the argument `3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declaration {
    /// The words in lower case; a part in double quotes as it is written, quotes included.
    pub(crate) words: Vec<String>,
    /// The arguments in lower case without blanks around them; one in single quotes as it is written, quotes included.
    pub(crate) arguments: Vec<String>,
}

impl Declaration {
    /// Takes `text` apart; `None` when its quotes or parentheses do not close, or when there is more than one pair of parentheses.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = String::new();
        let mut arguments: Option<Vec<String>> = None;
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '"' => words.push_str(&quoted(&mut rest, '"')?),
                '(' if arguments.is_none() => {
                    arguments = Some(inside(&mut rest)?);
                    // `int(11)unsigned` is two words.
                    words.push(' ');
                }
                '(' | ')' => return None,
                other => words.extend(other.to_lowercase()),
            }
        }
        Some(Self { words: split(&words), arguments: arguments.unwrap_or_default() })
    }

    /// The words with one blank between them.
    pub(crate) fn name(&self) -> String {
        self.words.join(" ")
    }

    /// The arguments when all of them are numbers.
    pub(crate) fn numbers(&self) -> Option<Vec<i64>> {
        self.arguments.iter().map(|argument| argument.parse().ok()).collect()
    }

    /// The whole in one canonical spelling.
    pub(crate) fn canonical(&self) -> String {
        match self.arguments.as_slice() {
            [] => self.name(),
            arguments => format!("{}({})", self.name(), arguments.join(",")),
        }
    }
}

/// The arguments up to the closing parenthesis; the opening one is read already.
fn inside(rest: &mut std::str::Chars<'_>) -> Option<Vec<String>> {
    let mut arguments = Vec::new();
    let mut argument = String::new();
    let finish = |argument: &mut String| std::mem::take(argument).trim().to_owned();
    loop {
        match rest.next()? {
            quote @ ('\'' | '"') => argument.push_str(&quoted(rest, quote)?),
            ',' => arguments.push(finish(&mut argument)),
            ')' => {
                arguments.push(finish(&mut argument));
                return Some(arguments);
            }
            '(' => return None,
            other => argument.extend(other.to_lowercase()),
        }
    }
}

/// What is in quotes, quotes included; the opening one is read already, and a doubled one stays doubled.
fn quoted(rest: &mut std::str::Chars<'_>, quote: char) -> Option<String> {
    let mut text = String::from(quote);
    loop {
        let next = rest.next()?;
        text.push(next);
        if next == quote {
            if !rest.as_str().starts_with(quote) {
                return Some(text);
            }
            text.push(quote);
            rest.next();
        }
    }
}

/// Splits at blanks that are not in double quotes.
fn split(words: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut in_quotes = false;
    for next in words.chars() {
        in_quotes ^= next == '"';
        if next.is_whitespace() && !in_quotes {
            all.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
        } else {
            word.push(next);
        }
    }
    all.extend(Some(word).filter(|word| !word.is_empty()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_arguments_are_told_apart() {
        let cases: [(&str, &str, &[&str]); 9] = [
            ("integer", "integer", &[]),
            ("  TIMESTAMP ( 3 )  WITH time zone ", "timestamp with time zone", &["3"]),
            ("int(11)unsigned", "int unsigned", &["11"]),
            ("numeric(10, -2)", "numeric", &["10", "-2"]),
            ("enum('a','B, (c)','it''s')", "enum", &["'a'", "'B, (c)'", "'it''s'"]),
            ("\"Odd \"\"Type\"", "\"Odd \"\"Type\"", &[]),
            ("public.\"A  b\"(1)", "public.\"A  b\"", &["1"]),
            ("geometry(Point,4326)", "geometry", &["point", "4326"]),
            ("", "", &[]),
        ];
        for (text, name, arguments) in cases {
            let parsed = Declaration::parse(text).unwrap();
            assert_eq!(
                (parsed.name().as_str(), parsed.arguments.iter().map(String::as_str).collect::<Vec<_>>()),
                (name, arguments.to_vec())
            );
        }
    }

    #[test]
    fn what_does_not_close_is_nothing() {
        for text in ["a(1", "a)", "a(1)(2)", "enum('a)", "\"a", "a((1))"] {
            assert_eq!(Declaration::parse(text), None, "{text}");
        }
    }
}
