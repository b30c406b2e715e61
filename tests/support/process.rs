//! Child processes that never outlive the tests.
//!
//! Each child has a watcher: a shell that reads from a pipe only this process holds. When this process ends, however it ends, the
//! pipe closes, and the watcher stops the child and removes its folder. A child stopped in the ordinary way dismisses its watcher.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a child may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(30);

/// Arguments: the child's process id, the signal that stops it, the folder to remove.
const WATCHER: &str = r#"
trap '' INT TERM HUP
read -r word && exit 0
kill -s "$2" "$1" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$1" 2>/dev/null || break
    sleep 0.25
done
kill -s KILL "$1" 2>/dev/null
rm -rf -- "$3"
"#;

/// A running child process, stopped when dropped and when this process ends.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    watcher: Child,
    stop_signal: &'static str,
}

impl Supervised {
    /// Starts `command` with its output in `log`. `stop_signal` is the one that ends it in good order, such as `INT`; `folder` is
    /// removed when this process ends without having stopped the child.
    pub fn spawn(mut command: Command, stop_signal: &'static str, folder: &Path, log: &Path) -> Self {
        let output = File::create(log).unwrap_or_else(|e| panic!("cannot write {}: {e}", log.display()));
        let errors = output.try_clone().expect("an open file can be shared");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {:?}: {e}", command.get_program()));
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "watcher", &child.id().to_string(), stop_signal])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell can be started");
        Self { child, watcher, stop_signal }
    }

    /// The child's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of an own child can be asked")
    }

    /// Sends the child a signal by name.
    pub fn signal(&self, signal: &str) {
        send_signal(signal, self.child.id());
    }

    /// Kills the child and every process it started, without warning.
    pub fn kill_all(&mut self) {
        let children = children_of(self.child.id());
        self.signal("KILL");
        for child in children {
            send_signal("KILL", child);
        }
        // Its status was asked for only to reap it.
        let _ = self.child.wait();
    }

    /// Ends the child in good order, or by force after a grace period, and gives its exit status.
    pub fn stop(&mut self) -> ExitStatus {
        if self.ended().is_none() {
            self.signal(self.stop_signal);
        }
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            if start.elapsed() > GRACE {
                self.kill_all();
            }
            thread::sleep(Duration::from_millis(10));
        };
        if let Some(mut pipe) = self.watcher.stdin.take() {
            // A watcher that is gone already needs no dismissal.
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.watcher.wait();
        status
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a command that ended by itself left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or takes longer than `limit`; it is killed then.
pub fn finish_within(limit: Duration, command: &mut Command) -> Finished {
    finish_reading(limit, command, Stdio::null())
}

/// As [`finish_within`], with something to read.
pub(crate) fn finish_reading(limit: Duration, command: &mut Command, input: Stdio) -> Finished {
    let mut child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {:?}: {e}", command.get_program()));
    let stdout = collect(child.stdout.take().expect("standard output is piped"));
    let stderr = collect(child.stderr.take().expect("standard error is piped"));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the state of an own child can be asked") {
            break Some(status);
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let stdout = stdout.join().expect("the reader of standard output does not panic");
    let stderr = stderr.join().expect("the reader of standard error does not panic");
    let Some(status) = status else {
        panic!("{:?} did not end within {limit:?}\n{stdout}{stderr}", command.get_program());
    };
    Finished { code: status.code(), stdout, stderr }
}

fn collect(mut pipe: impl std::io::Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before a broken pipe is what there is to show.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn send_signal(signal: &str, process: u32) {
    // The process may have ended in the meantime, which is what a signal is for.
    let _ = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "kill", signal, &process.to_string()]).stderr(Stdio::null()).status();
}

fn children_of(parent: u32) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let children = processes.flatten().filter_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The command name in parentheses may hold anything; the state and the parent follow it.
        let (_, rest) = stat.rsplit_once(')')?;
        let owner: u32 = rest.split_whitespace().nth(1)?.parse().ok()?;
        (owner == parent).then_some(process)
    });
    children.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::eventually;

    fn sleeper(folder: &Path) -> Supervised {
        let mut command = Command::new("sleep");
        command.arg("600");
        Supervised::spawn(command, "TERM", folder, &folder.join("log"))
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let child = sleeper(folder.path());
        let process = child.id();
        assert!(Path::new(&format!("/proc/{process}")).exists());
        drop(child);
        assert!(!Path::new(&format!("/proc/{process}")).exists());
    }

    #[test]
    fn a_closed_pipe_ends_the_child_and_removes_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let mut child = sleeper(&inner);
        // Closing the pipe is all that the end of this process does.
        drop(child.watcher.stdin.take());
        eventually("the child ends", Duration::from_secs(10), || child.ended());
        eventually("its folder is removed", Duration::from_secs(10), || (!inner.exists()).then_some(()));
    }

    #[test]
    fn a_command_that_hangs_is_reported() {
        let hung = std::panic::catch_unwind(|| finish_within(Duration::from_millis(100), Command::new("sleep").arg("600")));
        assert!(hung.is_err());
        let finished = finish_within(Duration::from_secs(10), Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(3), "out\n", "err\n"));
    }
}
