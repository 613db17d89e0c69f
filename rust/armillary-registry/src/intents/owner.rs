//! Whether the writer of an announcement still lives.

use std::{
    fs::{File, TryLockError},
    io::{self, ErrorKind},
    path::Path,
    sync::OnceLock,
};

/// What is known of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    /// It holds its file, or it has no file and its process runs.
    Alive,
    /// It is gone.
    Dead,
    /// It ran on another machine, where nobody here can look.
    Elsewhere,
}

/// The name of this machine, as the kernel has it.
pub(super) fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .or_else(|_| std::env::var("HOSTNAME"))
            .unwrap_or_default()
    })
}

/// When a process started, as text that differs for each that ever had this number; empty if none runs with it.
pub(super) fn process_start(pid: u32) -> String {
    if !Path::new("/proc/self").exists() {
        // No process table to ask: every process counts as running, so that nobody's files are taken away.
        return "running".to_owned();
    }
    // The name in parentheses may hold spaces; the state is the first field after it, the start time the 20th. One that
    // has ended keeps its number until its parent asks for it.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()))
        .filter(|rest| !rest.trim_start().starts_with(['Z', 'X']))
        .and_then(|rest| rest.split_whitespace().nth(19).map(str::to_owned))
        .unwrap_or_default()
}

/// The machine's name as part of a file name.
fn host_in_name() -> String {
    host().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect()
}

/// The beginning of the names of this process's files: machine, process number, start.
pub(super) fn file_stem() -> String {
    let pid = std::process::id();
    format!("{}-{pid}-{}", host_in_name(), process_start(pid))
}

/// For people who look at the file.
pub(super) fn description() -> String {
    format!("host={}\tpid={}", host(), std::process::id())
}

/// Marks a file as a live process's.
pub(super) fn hold(file: &File) -> io::Result<()> {
    match file.lock() {
        Err(error) if !has_no_locks(&error) => Err(error),
        _ => Ok(()), // without locks the process number in its name must do
    }
}

/// Whether the writer of the file called `name` lives.
pub(super) fn liveness(file: &File, name: &str) -> io::Result<Liveness> {
    let mut parts = name.rsplitn(4, '-');
    let (_, start, pid, name_host) = (parts.next(), parts.next(), parts.next(), parts.next());
    if name_host != Some(&host_in_name()) {
        return Ok(Liveness::Elsewhere);
    }
    // Shared, so that two who ask at the same time do not take each other for the writer.
    match file.try_lock_shared() {
        Ok(()) => Ok(Liveness::Dead),
        Err(TryLockError::WouldBlock) => Ok(Liveness::Alive),
        Err(TryLockError::Error(error)) if has_no_locks(&error) => {
            let pid = pid.and_then(|text| text.parse().ok());
            let runs = pid.is_some_and(|pid| Some(process_start(pid).as_str()) == start);
            Ok(if runs { Liveness::Alive } else { Liveness::Dead })
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether an error says that this file system has no locks of whole files.
pub(super) fn has_no_locks(error: &io::Error) -> bool {
    const ENOLCK: i32 = 37;
    error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(ENOLCK)
}
