//! The process itself: other programs cannot look into it, and it may open many files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Hides the memory and the environment of the process, which hold keys, from other programs of the
/// same user: debuggers, `/proc/PID/environ` and core files. Also the files below `/proc/PID` then
/// belong to root.
#[cfg(target_os = "linux")]
pub fn hide() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // This call cannot fail on Linux, and the program works without it.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(not(target_os = "linux"))]
pub fn hide() {}

/// Raises the number of files that the process may open from the usual 1,024 to the most that the
/// system allows.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // A process may always raise it as far.
    let _ = setrlimit(Resource::Nofile, raised);
}
