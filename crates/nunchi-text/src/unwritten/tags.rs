//! Tags. Nothing looks further than the next `<`, so that a text is read at most a few times, whatever it holds.

use super::super::characters::{is_dropped, is_space};

/// Tags that shops' editors write. Others stay: `<M>` is a size.
pub(super) const TAGS: [&str; 94] = [
    "a",
    "abbr",
    "address",
    "article",
    "aside",
    "audio",
    "b",
    "big",
    "blockquote",
    "body",
    "br",
    "button",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "fieldset",
    "figcaption",
    "figure",
    "font",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "label",
    "legend",
    "li",
    "link",
    "main",
    "mark",
    "marquee",
    "meta",
    "nav",
    "object",
    "ol",
    "option",
    "p",
    "param",
    "picture",
    "pre",
    "q",
    "s",
    "script",
    "section",
    "select",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
    "xml",
    "o:p",
];
/// Attributes that are recognized without the space before them: where spaces were dropped, `<span style="…">` is
/// `<spanstyle="…">`.
const ATTRIBUTES: [&str; 27] = [
    "align",
    "alt",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "class",
    "color",
    "colspan",
    "content",
    "dir",
    "face",
    "height",
    "href",
    "id",
    "lang",
    "name",
    "rel",
    "rowspan",
    "size",
    "src",
    "style",
    "target",
    "title",
    "type",
    "value",
    "width",
];
/// Attributes that stand without a value.
const FLAGS: [&str; 12] = [
    "allowfullscreen",
    "async",
    "autoplay",
    "checked",
    "controls",
    "defer",
    "disabled",
    "hidden",
    "loop",
    "muted",
    "noshade",
    "nowrap",
];
/// Longest name of a tag with an attribute that sticks to it, in characters.
const MAX_NAME: usize = 24;

/// The characters of a text, with the place of the next one.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|c| is_space(c) || is_dropped(c)) {
            self.next();
        }
    }

    /// The name that begins here, in lower case.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || ":_-.@".contains(*c)) {
            if name.len() == MAX_NAME {
                break;
            }
            name.push(c.to_ascii_lowercase());
            self.next();
        }
        name
    }
}

/// The bytes of the tag at the beginning of `rest`, which begins with `<`. Attributes need values, so that `a<b and c>d` is
/// none. A tag that the end of the text cuts off is one if it can be nothing else.
pub(super) fn tag(rest: &str) -> Option<usize> {
    let mut cursor = Cursor { text: rest, at: 1 };
    if matches!(cursor.peek(), Some('!' | '?')) {
        return declaration(rest);
    }
    let closing = cursor.take('/');
    let word = cursor.name();
    let mut sure = closing || word.len() > 1;
    let sticks = |end: usize| TAGS.contains(&&word[..end]) && ATTRIBUTES.contains(&&word[end..]);
    if !TAGS.contains(&word.as_str()) {
        // `name` takes ASCII only: every place is a boundary.
        if !(1..word.len()).any(sticks) || !matches!(value(&mut cursor), Value::Whole) {
            return None;
        }
        sure = true;
    }
    loop {
        cursor.skip_spaces();
        match cursor.peek() {
            None => return sure.then_some(rest.len()),
            Some('>') => return Some(cursor.at + 1),
            Some('/') => {
                cursor.next();
            }
            Some(_) => {
                let attribute = cursor.name();
                if attribute.is_empty() {
                    return None;
                }
                cursor.skip_spaces();
                if cursor.peek().is_none() {
                    return sure.then_some(rest.len());
                }
                if cursor.peek() != Some('=') {
                    if !FLAGS.contains(&attribute.as_str()) {
                        return None;
                    }
                    continue;
                }
                match value(&mut cursor) {
                    Value::Whole => sure = true,
                    Value::EndsAt(end) => return Some(end),
                    Value::CutOff => return Some(rest.len()),
                    Value::Broken => return None,
                }
            }
        }
    }
}

/// How an attribute's value ends.
enum Value {
    Whole,
    /// Its quotation mark is never closed; the first `>` ends the tag here.
    EndsAt(usize),
    /// The text ends in it.
    CutOff,
    /// Another tag begins in it.
    Broken,
}

/// Reads `="…"`, `='…'` or `=…`.
fn value(cursor: &mut Cursor<'_>) -> Value {
    if !cursor.take('=') {
        return Value::Broken;
    }
    cursor.skip_spaces();
    let close = match cursor.peek() {
        Some(quote @ ('"' | '\'')) => quote,
        Some('“' | '”') => '”',
        _ => {
            while let Some(c) = cursor.peek() {
                match c {
                    '<' => return Value::Broken,
                    '>' => break,
                    c if is_space(c) => break,
                    _ => cursor.next(),
                };
            }
            return Value::Whole;
        }
    };
    cursor.next();
    let mut first = None;
    let ended = |first: Option<usize>, otherwise| first.map_or(otherwise, Value::EndsAt);
    loop {
        match cursor.next() {
            None => return ended(first, Value::CutOff),
            Some('<') => return ended(first, Value::Broken),
            Some('>') => first = first.or(Some(cursor.at)),
            Some(c) if c == close => return Value::Whole,
            Some(_) => {}
        }
    }
}

/// `<!-- … -->`, `<!DOCTYPE …>`, `<![endif]-->`, `<?xml … ?>`: up to the first `>` before the next `<`.
fn declaration(rest: &str) -> Option<usize> {
    let begins = rest[2..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '-' || c == '[');
    let end = memchr::memchr2(b'<', b'>', &rest.as_bytes()[1..])? + 1;
    (begins && rest.as_bytes()[end] == b'>').then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_what_people_type() {
        for whole in [
            "<br>",
            "<BR/>",
            "<br />",
            "</p>",
            "<p>",
            "<span style=\"color:red\">",
            "<spanstyle=\"color:red\">",
            "<img src='https://a.b/c.jpg' alt='a > b'/>",
            "<td width=10 height=20>",
            "<input disabled>",
            "<a href=\"x\"class='y'>",
            "<!-- 메모 -->",
            "<!DOCTYPE html>",
            "<![endif]-->",
            "<o:p>",
            "<font color=\"red>",
            "< br>",
            "<p class=",
        ] {
            let want = if whole == "< br>" { None } else { Some(whole.len()) };
            assert_eq!(tag(whole), want, "{whole}");
        }
        for not in [
            "<3",
            "<",
            "<<",
            "<-",
            "<=",
            "<b 그리고 c>",
            "<b and c>d",
            "<M>",
            "<b",
            "<p",
            "<(^^)>",
            "<b=c>",
            "<>",
            "</>",
            "<!",
            "<! 좋아요>",
            "<best>",
            "<a <b>",
            "<p title=\"<3\">",
        ] {
            assert_eq!(tag(not), None, "{not}");
        }
        for cut in ["<br", "</p", "<span style", "<span style=\"col", "<img src="] {
            assert_eq!(tag(cut), Some(cut.len()), "{cut}");
        }
    }
}
