//! The actor that is recorded in the log and in manifests.

/// `user@host`, as far as the system knows them.
pub fn actor() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| {
        let id = rustix::process::getuid();
        if id.is_root() { "root".to_owned() } else { format!("uid {}", id.as_raw()) }
    });
    let system = rustix::system::uname();
    format!("{user}@{}", system.nodename().to_string_lossy())
}
