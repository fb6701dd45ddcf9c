//! `watchfire completions` and `watchfire man`: what shells and manuals know of the commands, made from the commands themselves.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, ExitStatus};

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitStatus> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "watchfire", &mut out);
    print(&out)
}

/// Prints the manual page: the program, then every command.
pub fn manual() -> anyhow::Result<ExitStatus> {
    let mut out = Vec::new();
    let mut root = Cli::command();
    root.build();
    clap_mangen::Man::new(root.clone()).render(&mut out)?;
    for command in root.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        let mut part = Vec::new();
        let man = clap_mangen::Man::new(command.clone());
        writeln!(part, ".SH \"COMMAND {}\"", command.get_name().to_uppercase())?;
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut part)?;
        }
        // Its sections are below the command's own.
        out.extend_from_slice(String::from_utf8_lossy(&part).replace("\n.SH ", "\n.SS ").as_bytes());
    }
    print(&out)
}

/// A reader that stops early (`| head`) is no failure.
fn print(bytes: &[u8]) -> anyhow::Result<ExitStatus> {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitStatus::Success),
    }
}
