//! For tests, here and in the program: a page read as XML.

use quick_xml::XmlVersion;
use quick_xml::events::Event;

/// What somebody writes who hopes that a page runs it.
pub const HOSTILE: &str = "<script>alert(1)</script>\"'&";

/// The page's elements and its text, attributes' values included; what is not well-formed fails.
pub fn read_markup(page: &str) -> (Vec<String>, String) {
    let mut reader = quick_xml::Reader::from_str(page);
    reader.config_mut().check_end_names = true;
    let (mut elements, mut text, mut open) = (Vec::new(), String::new(), 0_i32);
    loop {
        let event = reader.read_event().expect("the page is XML");
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                open += i32::from(matches!(event, Event::Start(_)));
                let name = element.name();
                elements.push(String::from_utf8(name.as_ref().to_vec()).expect("names are text"));
                for attribute in element.attributes() {
                    let value =
                        attribute.expect("attributes are XML").normalized_value(XmlVersion::Implicit1_0);
                    text += &value.expect("references in attributes are known");
                    text.push('\n');
                }
            }
            Event::End(_) => {
                open -= 1;
                text.push('\n');
            }
            Event::Text(part) => text += &part.decode().expect("text is UTF-8"),
            Event::GeneralRef(reference) => {
                text += match reference.decode().expect("references are UTF-8").as_ref() {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "quot" => "\"",
                    other => panic!("an unknown reference &{other};"),
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, 0, "every element is closed");
    (elements, text)
}
