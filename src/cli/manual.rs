//! `watchfire man`: a manual page of each command, and the same as Markdown for the book. What clap knows comes from the commands themselves; examples,
//! exit codes and files are added here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Arg, Args, Command, CommandFactory};

use super::examples::EXAMPLES;
use super::shell::print;
use super::{Cli, ExitStatus};
use crate::config::nearest;

/// Options of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command whose page is printed, as `queue ls`. Default: the program's own page.
    #[arg(value_name = "COMMAND", conflicts_with_all = ["out", "markdown"])]
    command: Vec<String>,
    /// Write the pages of all commands into this folder, as `watchfire-queue-ls.1`.
    #[arg(long, value_name = "DIR", conflicts_with = "markdown")]
    out: Option<PathBuf>,
    /// Print all commands, environment variables and exit codes as Markdown instead: `docs/reference.md`.
    #[arg(long)]
    markdown: bool,
}

/// Variables that commands read without an option of the same meaning.
const VARIABLES: &[(&str, &str)] = &[
    ("WATCHFIRE_TOKEN", "a bearer token for the server, where no file names one"),
    ("WATCHFIRE_USER", "a user name and password for it, as `name:password`"),
    ("NO_COLOR", "when it is set, the log on a terminal has no colours"),
];

/// What exit code 1 means, where that is more than a failure; by command.
const FAILURES: &[(&str, &str)] = &[
    ("serve", "it could not start, or sends were cut off when it stopped"),
    (
        "check",
        "the configuration has an error; with `--deny-warnings` also a warning; with `--diff` some labels go another way (2: they cannot be compared)",
    ),
    ("route", "other channels come out than those of `--expect`"),
    ("send", "the platform refused the message"),
    ("queue retry", "some of the deliveries that were named stay as they are"),
    ("queue drop", "some of the deliveries that were named stay as they are"),
    ("queue move", "some of the deliveries that were named stay as they are"),
    ("drill escalation", "nobody acked"),
    ("drill press", "nobody pressed a button"),
    ("status", "the server is not ready, or none answers"),
    ("health", "the server is not ready, or none answers"),
    ("reload", "the configuration has a mistake; the previous one stays active"),
];

const FILES: &[(&str, &str)] = &[
    ("routes.yaml", "the configuration, in the current folder; `--config` names another"),
    ("watchfire.db", "the SQLite store beside it, with watchfire.db-wal and watchfire.db-shm; `store:` names another, or a PostgreSQL"),
    ("watchfire.link-key", "beside the store: the key of links in messages, unless `server.link_key` is set"),
    ("~/.config/watchfire/contexts.yaml", "the servers of `watchfire context`; below XDG_CONFIG_HOME where that is set"),
];

/// Prints the page of the program or of a command, writes all pages, or prints everything as Markdown.
pub fn run(args: &ManArgs) -> Result<ExitStatus> {
    let root = tree();
    if args.markdown {
        return print(markdown(&root).as_bytes());
    }
    if let Some(folder) = &args.out {
        return write_all(&root, folder);
    }
    let mut command = &root;
    for name in &args.command {
        let found = shown(command).find(|sub| sub.get_name() == name || sub.get_all_aliases().any(|alias| alias == name));
        command = found.with_context(|| {
            let wanted = args.command.join(" ");
            let known = all(&root).into_iter().map(self::name).find(|known| format!("watchfire {known}").replace(' ', "-") == wanted);
            let near = known.or_else(|| nearest(&wanted, all(&root).into_iter().map(self::name).filter(|name| !name.is_empty())));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `watchfire man {near}`?"));
            format!("there is no command `{wanted}`{near}; `watchfire help` lists them")
        })?;
    }
    print(&page(command)?)
}

/// The commands, each knowing its whole name.
fn tree() -> Command {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    root
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

/// A command and all below it.
fn all(command: &Command) -> Vec<&Command> {
    let mut out = vec![command];
    for sub in shown(command) {
        out.extend(all(sub));
    }
    out
}

/// `queue ls`; empty for the program itself.
fn name(command: &Command) -> &str {
    command.get_bin_name().and_then(|name| name.strip_prefix("watchfire ")).unwrap_or_default()
}

fn write_all(root: &Command, folder: &Path) -> Result<ExitStatus> {
    std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    for command in all(root) {
        let file = folder.join(format!("{}.1", command.get_display_name().unwrap_or("watchfire")));
        std::fs::write(&file, page(command)?).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(ExitStatus::Success)
}

/// A page as roff.
fn page(command: &Command) -> Result<Vec<u8>> {
    let man = clap_mangen::Man::new(command.clone()).source(concat!("watchfire ", env!("CARGO_PKG_VERSION"))).manual("Watchfire");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if shown(command).next().is_some() {
        man.render_subcommands_section(&mut out)?;
    }
    let mut own = String::from(".SH EXAMPLES\n");
    for (what, line) in examples(command) {
        own.push_str(&format!(".PP\n{}\n.PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", roff(what), roff(line)));
    }
    own.push_str(&list("ENVIRONMENT", environment(&[command])));
    own.push_str(&list("EXIT STATUS", exits(command)));
    own.push_str(&list("FILES", FILES.iter().map(|(file, about)| ((*file).to_owned(), (*about).to_owned()))));
    own.push_str(".SH \"SEE ALSO\"\n");
    let words: Vec<&str> = name(command).split(' ').collect();
    let above = if words.len() > 1 { format!("watchfire-{}", words[..words.len() - 1].join("-")) } else { "watchfire".into() };
    own.push_str(&format!("{}(1), the book: docs/ of the sources\n", roff(&above)));
    out.extend(own.into_bytes());
    Ok(out)
}

/// The examples of a command; those of what is below it where it does nothing by itself.
fn examples(command: &Command) -> Vec<(&'static str, &'static str)> {
    let of = |name: &str| EXAMPLES.iter().find(|(known, _)| *known == name).map(|(_, lines)| *lines).unwrap_or_default();
    let own = of(name(command));
    if own.is_empty() { shown(command).flat_map(|sub| of(name(sub))).copied().collect() } else { own.to_vec() }
}

/// The variables that commands read, each once, with the option of the same meaning.
fn environment(commands: &[&Command]) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = VARIABLES.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned())).collect();
    for arg in commands.iter().flat_map(|command| command.get_arguments()) {
        if let Some(variable) = arg.get_env() {
            let option = arg.get_long().map_or_else(|| arg.to_string(), |long| format!("--{long}"));
            out.insert(variable.to_string_lossy().into_owned(), format!("the same as `{option}`, which takes precedence"));
        }
    }
    out
}

fn exits(command: &Command) -> Vec<(String, String)> {
    let failure = FAILURES.iter().find(|(known, _)| *known == name(command)).map_or("it failed; standard error has the reason", |(_, about)| *about);
    [("0", "it is done"), ("1", failure), ("2", "the command line cannot be understood")]
        .into_iter()
        .map(|(code, about)| (code.to_owned(), about.to_owned()))
        .collect()
}

/// A section that explains names.
fn list(title: &str, rows: impl IntoIterator<Item = (String, String)>) -> String {
    let rows = rows.into_iter().map(|(name, about)| format!(".TP\n\\fB{}\\fR\n{}\n", roff(&name), roff(&about)));
    format!(".SH \"{title}\"\n{}", rows.collect::<String>())
}

/// A text as roff shows it: nothing in it is a command.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('`', "");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// What docs/reference.md has of the command line.
fn markdown(root: &Command) -> String {
    let mut out = String::from("## Commands\n\nEvery command takes these:\n\n");
    out.push_str(&options(root.get_arguments().filter(|arg| arg.is_global_set())));
    for command in all(root).into_iter().skip(1) {
        let about = sentence(&command.get_about().map(ToString::to_string).unwrap_or_default());
        out.push_str(&format!("\n### watchfire {}\n\n{}.\n", name(command), about.trim_end_matches('.')));
        let own: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_global_set() && !arg.is_hide_set() && !is_ours(arg)).collect();
        if !own.is_empty() {
            out.push_str(&format!("\n{}", options(own.into_iter())));
        }
        let lines: String = examples(command).into_iter().map(|(what, line)| format!("# {what}\n{line}\n")).collect();
        if shown(command).next().is_none() {
            out.push_str(&format!("\n```sh\n{lines}```\n"));
        }
    }
    out.push_str("\n## Environment variables\n\nA variable that begins with `WATCHFIRE_` and is empty counts as not set.\n\n");
    out.push_str("| variable | what it is |\n|---|---|\n");
    for (variable, about) in environment(&all(root)) {
        out.push_str(&format!("| `{variable}` | {about} |\n"));
    }
    out.push_str("\n## Exit codes\n\n0: it is done. 1: it failed, and standard error has the reason. 2: the command line cannot be understood.\n\n");
    out.push_str("| command | what 1 means |\n|---|---|\n");
    for (command, about) in FAILURES {
        out.push_str(&format!("| watchfire {command} | {about} |\n"));
    }
    out
}

/// A text in a table. Commands in it are only named, so they are without the program's name: what has it is a line to type.
fn sentence(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|").replace("`watchfire ", "`")
}

/// `--help` and `--version`.
fn is_ours(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

/// A table of options.
fn options<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    let mut out = String::from("| option | what it is | default |\n|---|---|---|\n");
    for arg in args {
        let short = arg.get_short().filter(|_| arg.get_long().is_some()).map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let default: Vec<String> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        // Of a flag it would be `false`.
        let default = if arg.get_action().takes_values() { default.join(", ") } else { String::new() };
        let about = sentence(&arg.get_help().map(ToString::to_string).unwrap_or_default());
        let values: Vec<String> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
        out.push_str(&format!("| {short}`{arg}` | {about}{values} | {default} |\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_examples_that_the_program_understands() {
        let root = tree();
        let commands = all(&root);
        assert!(commands.len() > 50, "{}", commands.len());
        for command in &commands {
            assert!(!examples(command).is_empty(), "`watchfire {}` has no example in src/cli/examples.rs", name(command));
        }
        let known: Vec<&str> = commands.iter().map(|command| name(command)).collect();
        for (command, lines) in EXAMPLES {
            assert!(known.contains(command), "there is no command `{command}`");
            for (what, line) in *lines {
                let words = line.split(' ').skip(1).take_while(|word| !matches!(*word, ">" | "<"));
                let words: Vec<String> = words.map(|word| word.replace('\'', "")).collect();
                assert!(line.starts_with("watchfire") && what.ends_with([':', '?']), "{what} {line}");
                assert!(words.join(" ").starts_with(command), "{line} is no example of `{command}`");
                crate::cli::parses(&words).unwrap_or_else(|why| panic!("{line}: {why}"));
            }
        }
        for (command, _) in FAILURES {
            assert!(known.contains(command), "there is no command `{command}`");
        }
    }

    #[test]
    fn a_page_has_every_section_and_no_line_of_it_is_a_command_by_accident() {
        let root = tree();
        for command in all(&root) {
            let text = String::from_utf8(page(command).unwrap()).unwrap();
            let order = ["SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "\"ENVIRONMENT\"", "\"EXIT STATUS\"", "\"FILES\"", "\"SEE ALSO\""];
            let places: Vec<usize> =
                order.iter().map(|title| text.find(&format!("\n.SH {title}\n")).unwrap_or_else(|| panic!("{}: {title}", name(command)))).collect();
            assert!(places.is_sorted(), "{}: {places:?}", name(command));
            assert!(text.contains("WATCHFIRE_CONFIG") && text.contains("WATCHFIRE_TOKEN"), "{}", name(command));
        }
        assert_eq!(roff(".so -x `y`\\"), "\\&.so \\-x y\\e");
        assert_eq!(roff("'quoted'"), "\\&'quoted'");
    }

    #[test]
    fn a_page_by_another_name_is_answered_with_the_command() {
        let said = |words: &[&str]| {
            let command = words.iter().map(|word| (*word).to_owned()).collect();
            run(&ManArgs { command, out: None, markdown: false }).err().unwrap().to_string()
        };
        for wanted in [&["watchfire-queue-ls"][..], &["queue", "lss"]] {
            assert!(said(wanted).ends_with("; did you mean `watchfire man queue ls`?; `watchfire help` lists them"), "{}", said(wanted));
        }
    }

    #[test]
    fn pages_name_what_their_exit_codes_mean() {
        let root = tree();
        let check = all(&root).into_iter().find(|command| name(command) == "check").unwrap();
        assert!(exits(check)[1].1.contains("--deny-warnings"));
        let list = all(&root).into_iter().find(|command| name(command) == "queue ls").unwrap();
        assert_eq!(exits(list)[1].1, "it failed; standard error has the reason");
        assert!(String::from_utf8(page(list).unwrap()).unwrap().ends_with("watchfire\\-queue(1), the book: docs/ of the sources\n"));
    }
}
