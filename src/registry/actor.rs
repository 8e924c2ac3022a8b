//! The actor that the log and manifests record.

/// `user@host`, as far as the system says.
pub fn actor() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| {
        let id = rustix::process::getuid();
        if id.is_root() { "root".to_owned() } else { format!("uid {}", id.as_raw()) }
    });
    let system = rustix::system::uname();
    format!("{user}@{}", system.nodename().to_string_lossy())
}
