//! Holds each session of a PostgreSQL server to a share of a core, as if the server were slower and had cores of its own.
//!
//! Where client, gateway and server share two cores, more sessions have little to gain: the cores are busy already. With a share,
//! sessions beside each other get more of the machine than one alone. Linux control groups do it, of either version; that needs root.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// In microseconds; short, so that a session runs evenly.
const PERIOD: u64 = 10_000;

/// Sessions are held to their share until this is dropped.
pub(crate) struct SessionShare {
    ended: Arc<AtomicBool>,
    watch: Option<JoinHandle<()>>,
}

impl SessionShare {
    /// Holds each session of `user` that there is, and that comes, to `share` of a core.
    ///
    /// # Panics
    /// When control groups cannot be made.
    pub(crate) fn of_sessions(user: &'static str, share: f64) -> Self {
        let groups = Groups::find(share).expect("control groups for `cpu` can be made, which root may do");
        let ended = Arc::new(AtomicBool::new(false));
        let watch = {
            let ended = Arc::clone(&ended);
            thread::spawn(move || groups.hold(user, &ended))
        };
        Self { ended, watch: Some(watch) }
    }
}

impl Drop for SessionShare {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            watch.join().expect("the watch does not panic");
        }
    }
}

/// Where groups are made, and what is written to them.
struct Groups {
    root: PathBuf,
    /// File and content of each limit.
    limits: Vec<(&'static str, String)>,
    /// The file that takes process numbers.
    members: &'static str,
}

impl Groups {
    /// What this machine has.
    fn find(share: f64) -> io::Result<Self> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a core is between 0 and 1")]
        let quota = (share * PERIOD as f64) as u64;
        let (first, second) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let groups = if first.join("cpu.cfs_quota_us").exists() || first.join("cpu.shares").exists() {
            let limits = vec![("cpu.cfs_period_us", PERIOD.to_string()), ("cpu.cfs_quota_us", quota.to_string())];
            Self { root: first.to_owned(), limits, members: "tasks" }
        } else {
            fs::write(second.join("cgroup.subtree_control"), "+cpu")?;
            Self { root: second.to_owned(), limits: vec![("cpu.max", format!("{quota} {PERIOD}"))], members: "cgroup.procs" }
        };
        let trial = groups.make("trial")?;
        fs::remove_dir(trial)?;
        Ok(groups)
    }

    fn make(&self, name: &str) -> io::Result<PathBuf> {
        let group = self.root.join(format!("causeway-bench-{}-{name}", std::process::id()));
        fs::create_dir(&group)?;
        for (file, content) in &self.limits {
            fs::write(group.join(file), content)?;
        }
        Ok(group)
    }

    /// Puts each session into a group of its own as it comes.
    fn hold(&self, user: &str, ended: &AtomicBool) {
        let mut held: HashMap<String, PathBuf> = HashMap::new();
        while !ended.load(Ordering::Relaxed) {
            let sessions = sessions(user);
            held.retain(|process, group| sessions.contains(process) || fs::remove_dir(group).is_err());
            for process in sessions {
                if !held.contains_key(&process)
                    && let Ok(group) = self.make(&process)
                {
                    // It may have ended since.
                    let _ = fs::write(group.join(self.members), &process);
                    held.insert(process, group);
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
        for (process, group) in held {
            let _ = fs::write(self.root.join(self.members), process);
            let _ = fs::remove_dir(group);
        }
    }
}

/// The process numbers of a user's sessions, which have his name in their title.
fn sessions(user: &str) -> Vec<String> {
    let title = format!("postgres: {user} ");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.parse::<u32>().is_ok());
    numbers.filter(|number| fs::read(format!("/proc/{number}/cmdline")).is_ok_and(|line| line.starts_with(title.as_bytes()))).collect()
}
