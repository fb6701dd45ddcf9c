//! `watchfire completions`: what shells know of the commands, made from the commands themselves. Names of channels are asked for while somebody types, by a
//! hidden command.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::{Arg, Args, Command, CommandFactory, FromArgMatches};
use clap_complete::Shell;

use super::remote::Remote;
use super::{Cli, Common, ExitStatus, block_on, contexts, load};
use crate::api::Channels;

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Options of the hidden command that scripts of shells call.
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// The line that is being typed, as far as it goes.
    words: Vec<String>,
}

/// Where the generator puts a value that the shell is to ask for.
const MARK: &str = "ChannelNamesGoHere";
/// Options that choose the configuration or the server.
const CHOOSING: [&str; 5] = ["--config", "--listen", "--server", "--token-file", "--context"];
/// Somebody waits with a finger on the key.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(3);

const BASH: &str = r#"_watchfire_channels() {
    watchfire channel-names -- "${COMP_WORDS[@]:0:COMP_CWORD}" 2>/dev/null
}

"#;
/// `_arguments` has cut `words` to those of the subcommand: the whole line is in the buffer.
const ZSH: &str = r#"_watchfire_channels() {
    local -a channels
    channels=(${(f)"$(watchfire channel-names -- ${(Q)${(z)LBUFFER}} 2>/dev/null)"})
    compadd -a channels
}

"#;

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitStatus> {
    let mut out = Vec::new();
    let mut command = if matches!(args.shell, Shell::Bash | Shell::Zsh | Shell::Fish) { marked(Cli::command()) } else { Cli::command() };
    clap_complete::generate(args.shell, &mut command, "watchfire", &mut out);
    let script = without_hidden(&String::from_utf8(out).context("the script is no text")?);
    let script = match args.shell {
        Shell::Bash => BASH.to_owned() + &script.replace(&format!("\"{MARK}\""), "\"$(_watchfire_channels)\""),
        Shell::Zsh => script.replace(&format!("({MARK})"), "_watchfire_channels").replacen("\n_watchfire() {", &format!("\n{ZSH}_watchfire() {{"), 1),
        Shell::Fish => script.replace(&format!("\"{MARK}\\t''\""), "\"(watchfire channel-names -- (commandline -opc) 2>/dev/null)\""),
        _ => script,
    };
    print(script.as_bytes())
}

/// The script without the hidden command among what it offers: the generator knows no hidden commands.
fn without_hidden(script: &str) -> String {
    let offers = ["-a \"channel-names\"", "'channel-names:", "cand channel-names ", "::new('channel-names'"];
    let kept = script.lines().filter(|line| !offers.iter().any(|offer| line.contains(offer)));
    // Bash and fish have it in lists of words, too.
    kept.map(|line| line.replace(" channel-names ", " ") + "\n").collect()
}

/// The commands, with the mark as the only value of options that name a channel.
fn marked(command: Command) -> Command {
    let names_a_channel = |arg: &Arg| matches!(arg.get_long(), Some("channel" | "to" | "expect"));
    command.mut_args(|arg| if names_a_channel(&arg) { arg.value_parser([MARK]) } else { arg }).mut_subcommands(marked)
}

/// Prints the names of the channels: of the server on another machine that the line chooses, else of its configuration.
pub fn channel_names(args: &NamesArgs) -> anyhow::Result<ExitStatus> {
    let common = chosen(&args.words)?;
    let names: Vec<String> = if contexts::chosen(&common)?.is_some() {
        let ask = async {
            let remote = Remote::open(&common).await?;
            let found: Channels = remote.get("/api/v1/channels").await?;
            anyhow::Ok(found.channels.into_iter().map(|channel| channel.name).collect())
        };
        block_on(async { tokio::time::timeout(COMPLETION_TIMEOUT, ask).await })?.context("the server does not answer")??
    } else {
        load(&common, false)?.plan.channels.keys().cloned().collect()
    };
    let lines: String = names.into_iter().map(|name| name + "\n").collect();
    print(lines.as_bytes())
}

/// What a line chooses that is not finished: all but the options above is left out. Bash makes words of their own of equals signs.
fn chosen(words: &[String]) -> anyhow::Result<Common> {
    let mut line = vec!["watchfire".to_owned(), "channels".to_owned()];
    let mut words = words.iter().filter(|word| *word != "=");
    while let Some(word) = words.next() {
        let option = word.split('=').next().unwrap_or_default();
        if CHOOSING.contains(&option) {
            line.push(word.clone());
            if option == word {
                line.extend(words.next().cloned());
            }
        }
    }
    let matches = Cli::command().try_get_matches_from(line)?;
    let mut common = Cli::from_arg_matches(&matches)?.common;
    common.settle(&matches)?;
    Ok(common)
}

/// Prints; a reader that stops early (`| head`) is no failure.
pub fn print(bytes: &[u8]) -> anyhow::Result<ExitStatus> {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitStatus::Success),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn an_unfinished_line_chooses_its_configuration() {
        let common = chosen(&words("watchfire send --config other.yaml -c")).unwrap();
        assert_eq!(common.config.to_str(), Some("other.yaml"));
        assert!(common.said.local && !common.said.remote);
        // As bash cuts `--config=other.yaml`, and as zsh and fish leave it.
        for line in ["watchfire --config = other.yaml queue ls --channel", "watchfire --config=other.yaml queue move --to"] {
            assert_eq!(chosen(&words(line)).unwrap().config.to_str(), Some("other.yaml"), "{line}");
        }
        let common = chosen(&words("watchfire queue ls --server http://127.0.0.1:9 --channel")).unwrap();
        assert!(common.said.remote && common.server.as_deref() == Some("http://127.0.0.1:9"));
        assert!(chosen(&words("watchfire queue ls --server")).is_err(), "its value is not typed yet");
    }

    #[test]
    fn every_option_that_names_a_channel_is_marked() {
        let mut root = marked(Cli::command());
        root.build();
        for path in ["send --channel", "render --channel", "queue ls --channel", "queue move --to", "mute add --channel", "drill press --channel"] {
            let mut steps = path.split(' ').peekable();
            let mut command = &root;
            while let Some(step) = steps.next_if(|step| !step.starts_with('-')) {
                command = command.find_subcommand(step).unwrap();
            }
            let long = steps.next().unwrap().trim_start_matches('-');
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(long)).unwrap();
            assert_eq!(arg.get_possible_values().iter().map(|value| value.get_name()).collect::<Vec<_>>(), [MARK], "{path}");
        }
    }
}
