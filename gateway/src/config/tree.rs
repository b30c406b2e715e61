//! YAML text as a tree that remembers the line of every key and value. Scalars stay as they were written: what a `5432` or a `no`
//! means is for the key to say, not for YAML.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

/// How many nodes a file may have once its aliases are written out.
const MOST_NODES: usize = 100_000;
/// How deep it may be nested.
const DEEPEST: usize = 32;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Node,
}

/// Reads the one document of `text`; an empty one is [`Value::Null`].
///
/// # Errors
/// The line and what is wrong there.
pub(crate) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut root = None;
    loop {
        let (event, line) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(root.unwrap_or(Node { line: 1, value: Value::Null })),
            Event::DocumentStart(..) if root.is_some() => {
                return Err((line, "holds a second document; one file is one document".to_owned()));
            }
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => root = Some(reader.node(event, line, 0)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    /// The next event that is not a comment.
    fn next(&mut self) -> Result<(Event<'a>, usize), (usize, String)> {
        loop {
            match self.parser.next() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, span.start.line())),
                Some(Err(error)) => return Err((error.marker().line(), format!("is not YAML: {}", error.info()))),
                None => return Ok((Event::StreamEnd, 0)),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, (usize, String)> {
        self.count(line, 1)?;
        if depth > DEEPEST {
            return Err((line, format!("is nested deeper than {DEEPEST} levels")));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                (if null { Value::Null } else { Value::Scalar(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned().ok_or((line, "refers to an anchor that is not complete".to_owned()))?;
                self.count(line, size(&target))?;
                // The fault of an aliased value is told where the alias is used.
                return Ok(Node { line, value: target.value });
            }
            other => return Err((line, format!("is not expected here: {other:?}"))),
        };
        let node = Node { line, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, (usize, String)> {
        let mut nodes = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(nodes));
            }
            nodes.push(self.node(event, line, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, (usize, String)> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Mapping(entries));
            }
            let Value::Scalar(key) = self.node(event, line, depth + 1)?.value else {
                return Err((line, "has a key that is not a word".to_owned()));
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                return Err((line, format!("has the key `{key}` a second time; the first is in line {}", first.line)));
            }
            let (event, value_line) = self.next()?;
            let value = self.node(event, value_line, depth + 1)?;
            entries.push(Entry { key, line, value });
        }
    }

    fn count(&mut self, line: usize, nodes: usize) -> Result<(), (usize, String)> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES { Err((line, format!("has more than {MOST_NODES} values"))) } else { Ok(()) }
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Scalar(_) => 0,
        Value::List(nodes) => nodes.iter().map(size).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(node: &Node) -> Vec<(&str, usize, &Value)> {
        let Value::Mapping(entries) = &node.value else { panic!("{node:?} is no mapping") };
        entries.iter().map(|entry| (entry.key.as_str(), entry.line, &entry.value.value)).collect()
    }

    #[test]
    fn scalars_stay_as_written_with_their_lines() {
        let root = parse("# head\nport: 05432\nanswer: no\nquoted: \"null\"\nempty:\nlist: [a, {b: c}]\n").unwrap();
        let text = |text: &str| Value::Scalar(text.to_owned());
        let entries = mapping(&root);
        assert_eq!(entries[..3], [("port", 2, &text("05432")), ("answer", 3, &text("no")), ("quoted", 4, &text("null"))]);
        assert_eq!(entries[3], ("empty", 5, &Value::Null));
        let Value::List(list) = entries[4].2 else { panic!("no list") };
        assert_eq!((list.len(), list[1].line), (2, 6));
    }

    #[test]
    fn an_empty_file_is_null() {
        assert_eq!(parse("").unwrap().value, Value::Null);
        assert_eq!(parse("# nothing yet\n").unwrap().value, Value::Null);
    }

    #[test]
    fn aliases_are_written_out_and_bombs_refused() {
        let root = parse("pool: &pool { max_connections: 2 }\nother: *pool\n").unwrap();
        assert_eq!(mapping(&root)[0].2, mapping(&root)[1].2);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
        }
        assert_eq!(parse(&bomb).unwrap_err().1, "has more than 100000 values");
        assert_eq!(parse(&("[".repeat(40) + &"]".repeat(40))).unwrap_err().1, "is nested deeper than 32 levels");
    }

    #[test]
    fn what_is_not_yaml_tells_its_line() {
        let (line, message) = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(line >= 2 && message.starts_with("is not YAML: "), "{line}: {message}");
        assert_eq!(parse("a: 1\nb: 2\na: 3\n").unwrap_err(), (3, "has the key `a` a second time; the first is in line 1".to_owned()));
        assert_eq!(parse("a: 1\n---\nb: 2\n").unwrap_err(), (2, "holds a second document; one file is one document".to_owned()));
        assert_eq!(parse("? [a]\n: 1\n").unwrap_err().1, "has a key that is not a word");
    }
}
