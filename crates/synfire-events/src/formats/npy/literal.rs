//! The few Python literals in the header of a `.npy` file.

use crate::formats::Fault;
use crate::formats::table::quoted;

/// Lists in lists, as a damaged header may open them without end.
const DEEPEST: usize = 16;

/// A literal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Literal<'a> {
    /// What stands between quotes, escapes and all.
    Text(&'a [u8]),
    Number(u64),
    Bool(bool),
    /// A list or a tuple.
    List(Vec<Literal<'a>>),
    Dict(Vec<(&'a [u8], Literal<'a>)>),
}

/// The literal that `text` is.
pub(super) fn parse(text: &[u8]) -> Result<Literal<'_>, Fault> {
    let mut parser = Parser { text, at: 0 };
    let literal = parser.literal(DEEPEST)?;
    match parser.peek() {
        None => Ok(literal),
        Some(_) => Err(parser.fault("the end of the header")),
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn fault(&self, expected: &str) -> Fault {
        Fault::new(self.at, expected, quoted(&self.text[self.at..]))
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        self.at += self.text[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.text.get(self.at).copied()
    }

    /// Takes the next byte that is no blank, if it is `byte`.
    fn take(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    /// Takes the bytes of a kind.
    fn run(&mut self, kind: impl Fn(&u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let run = &rest[..rest.iter().take_while(|byte| kind(byte)).count()];
        self.at += run.len();
        run
    }

    fn literal(&mut self, depth: usize) -> Result<Literal<'a>, Fault> {
        if depth == 0 {
            return Err(self.fault("no list as deep in others as this"));
        }
        match self.peek() {
            Some(b'\'' | b'"') => self.quoted().map(Literal::Text),
            Some(b'0'..=b'9') => self.number(),
            Some(b'(') => self.until(b')', |parser| parser.literal(depth - 1)).map(Literal::List),
            Some(b'[') => self.until(b']', |parser| parser.literal(depth - 1)).map(Literal::List),
            Some(b'{') => self
                .until(b'}', |parser| {
                    let key = parser.quoted()?;
                    if !parser.take(b':') {
                        return Err(parser.fault("a colon"));
                    }
                    Ok((key, parser.literal(depth - 1)?))
                })
                .map(Literal::Dict),
            _ => self.bool(),
        }
    }

    /// What is between the byte here and `close`, parted by commas.
    fn until<T>(&mut self, close: u8, one: impl Fn(&mut Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        self.at += 1;
        let mut all = Vec::new();
        while !self.take(close) {
            all.push(one(self)?);
            if !self.take(b',') && self.peek() != Some(close) {
                return Err(self.fault(&format!("a comma or {:?}", char::from(close))));
            }
        }
        Ok(all)
    }

    fn quoted(&mut self) -> Result<&'a [u8], Fault> {
        let Some(quote @ (b'\'' | b'"')) = self.peek() else { return Err(self.fault("a quoted name")) };
        let start = self.at + 1;
        let mut escaped = false;
        let len = self.text[start..].iter().position(|&byte| {
            let ends = byte == quote && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let Some(len) = len else { return Err(self.fault("a closing quote")) };
        self.at = start + len + 1;
        Ok(&self.text[start..][..len])
    }

    fn number(&mut self) -> Result<Literal<'a>, Fault> {
        let at = self.at;
        let digits = self.run(u8::is_ascii_digit);
        // Python 2 marked long integers.
        self.run(|&byte| byte == b'L');
        let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        number.map(Literal::Number).ok_or_else(|| Fault::new(at, "a number of 64 bits", quoted(digits)))
    }

    fn bool(&mut self) -> Result<Literal<'a>, Fault> {
        let at = self.at;
        match self.run(u8::is_ascii_alphabetic) {
            b"True" => Ok(Literal::Bool(true)),
            b"False" => Ok(Literal::Bool(false)),
            _ => Err(Fault::new(at, "a Python literal", quoted(&self.text[at..]))),
        }
    }
}
