//! What the figures were measured on.

use std::fs;
use std::process::Command;

/// One line of facts without which a figure means nothing.
pub(crate) fn facts() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let build = if cfg!(debug_assertions) { "debug build, not to be quoted" } else { "release build" };
    format!(
        "machine: {model}, {cores} cores, {} GiB; {}; {}; sources at {}; {build}",
        memory.unwrap_or_default() >> 20,
        output("uname", &["-sr"]),
        output("psql", &["--version"]),
        output("git", &["describe", "--always", "--dirty"]),
    )
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { format!("{program} unknown") } else { text }
}
