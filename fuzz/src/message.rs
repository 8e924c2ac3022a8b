//! What holds of every error message.

/// Longest message in bytes. Whoever wrote the input must not fill logs and headers with it.
pub const MAX_MESSAGE: usize = 1_024;

/// Panics if `message` is empty, too long, or would steer a terminal.
pub fn check(message: &str) {
    assert!(!message.is_empty(), "an error says what is wrong");
    assert!(message.len() <= MAX_MESSAGE, "a message of {} bytes: {message:.300}…", message.len());
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!message.contains(control), "control characters in a message: {message:?}");
}
