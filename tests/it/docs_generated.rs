//! The generated parts of the documents are what the program says today: the reference of keys, the tables of platforms, template fields and
//! functions. `UPDATE=1` writes them.

use std::fs;
use std::path::{Path, PathBuf};

use watchfire::channel::{PLATFORMS, preset};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What the program prints.
pub fn output(args: &[&str]) -> String {
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_watchfire")).args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}");
    String::from_utf8(out.stdout).unwrap()
}

/// Holds a file to a text, or writes it.
#[track_caller]
fn hold(path: &Path, wanted: &str) {
    let shown = fs::read_to_string(path).unwrap_or_default();
    if shown != wanted && std::env::var_os("UPDATE").is_some() {
        fs::write(path, wanted).unwrap();
        return;
    }
    assert!(shown == wanted, "{} is out of date; UPDATE=1 writes it", path.display());
}

/// Holds what is between `<!-- name -->` and `<!-- /name -->`.
#[track_caller]
pub fn hold_part(path: &Path, name: &str, wanted: &str) {
    let page = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&open).unwrap_or_else(|| panic!("{} has no `{}`", path.display(), open.trim()));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("{} has no `{close}`", path.display()));
    hold(path, &format!("{before}{open}\n{wanted}\n{close}{after}"));
}

#[test]
fn the_reference_of_keys_is_the_types() {
    hold(&root().join("docs/configuration.md"), &output(&["schema", "--markdown"]));
}

/// A platform without a page that says how to get its credentials does not pass.
#[test]
fn every_platform_has_a_page_with_its_credentials_an_example_and_its_keys() {
    for platform in PLATFORMS {
        let path = root().join(format!("docs/platforms/{}.md", platform.name));
        let page = fs::read_to_string(&path).unwrap_or_else(|_| {
            panic!("write {}: what it is, `## How to get its credentials`, `## Example`, and the marks of `## Keys`", path.display())
        });
        let (_, rest) =
            page.split_once("\n## How to get its credentials\n").unwrap_or_else(|| panic!("{} does not tell how to get them", path.display()));
        let (told, rest) = rest.split_once("\n## Example\n").unwrap_or_else(|| panic!("{} has no example", path.display()));
        assert!(told.trim().len() >= 20, "{} says nothing about credentials", path.display());
        assert!(rest.contains(&format!("    {}: {{", platform.name)) || rest.contains(&format!("    {}:\n", platform.name)), "{}", path.display());
        hold_part(&path, "keys", &watchfire::config::platform_reference(platform.name));
    }
    let presets = fs::read_to_string(root().join("docs/platforms/preset.md")).unwrap();
    for (name, _) in preset::shipped() {
        assert!(presets.contains(&format!("\n### {name}\n")), "docs/platforms/preset.md does not tell how to get what {name} asks for");
    }
    for entry in fs::read_dir(root().join("docs/platforms")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let english = name.replace(".zh-CN.md", ".md");
        assert!(PLATFORMS.iter().any(|platform| format!("{}.md", platform.name) == english), "docs/platforms/{name} belongs to no platform");
    }
}

#[test]
fn the_book_lists_every_platform() {
    let path = root().join("docs/SUMMARY.md");
    let page = fs::read_to_string(&path).unwrap();
    let heading = "[Platforms](platforms.md)\n  - [平台](platforms.zh-CN.md)\n";
    let (before, rest) = page.split_once(heading).unwrap();
    let after: String = rest.split_inclusive('\n').skip_while(|line| line.contains("](platforms/")).collect();
    let mut list = String::new();
    for platform in PLATFORMS {
        list.push_str(&format!("  - [{}](platforms/{}.md)\n", platform.title, platform.name));
        let chinese = format!("platforms/{}.zh-CN.md", platform.name);
        if let Ok(page) = fs::read_to_string(root().join("docs").join(&chinese)) {
            let title = page.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_else(|| panic!("docs/{chinese} has no heading"));
            list.push_str(&format!("    - [{title}]({chinese})\n"));
        }
    }
    hold(&path, &format!("{before}{heading}{list}{after}"));
}

#[test]
fn the_list_of_platforms_is_the_registrys() {
    let mut table = String::new();
    for line in output(&["platforms", "--markdown"]).lines() {
        let key = line.split('`').nth(1).unwrap_or_default().to_owned();
        let page = match key.strip_prefix("preset: { name: ") {
            Some(preset) => format!("platforms/preset.md#{}", preset.trim_end_matches(" }")),
            None => format!("platforms/{key}.md"),
        };
        let line = if key.is_empty() { line.to_owned() } else { line.replacen(&format!("`{key}`"), &format!("[`{key}`]({page})"), 1) };
        table.push_str(&line.replace("](docs/", "]("));
        table.push('\n');
    }
    hold_part(&root().join("docs/platforms.md"), "platforms", &table);
}

/// What the list of platforms says of one of them in every language: its key, its sources, its numbers (sorted), and its last three columns, those of
/// the English page in Chinese.
#[derive(Debug, PartialEq)]
struct Listed {
    key: String,
    sources: Vec<String>,
    numbers: Vec<String>,
    later: String,
    resolved: String,
    repeated: bool,
}

/// The numbers of a text, as they are written.
fn figures(text: &str) -> impl Iterator<Item = String> {
    let figures = text.split(|c: char| !c.is_ascii_digit() && c != ',').map(|figure| figure.trim_matches(','));
    figures.filter(|figure| !figure.is_empty()).map(str::to_owned)
}

impl Listed {
    fn read(line: &str) -> Self {
        let address = |c: char| c.is_ascii_alphanumeric() || ":/._-#?=&%".contains(c);
        let (mut sources, mut numbers) = (Vec::new(), Vec::new());
        for word in line.split(|c| !address(c) && c != ',') {
            if word.starts_with("https://") {
                sources.push(word.trim_end_matches([',', '.']).to_owned());
            } else {
                numbers.extend(figures(word));
            }
        }
        numbers.sort();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let chinese = [("one edit", "编辑一次"), ("edit", "编辑"), ("reply", "回复"), (", ", "、"), ("yes", "是"), ("no", "否")];
        let said = |cell: &str| chinese.iter().fold(cell.to_owned(), |text, (english, chinese)| text.replace(english, chinese));
        let repeated = !cells[8].starts_with("never sent again") && !cells[8].starts_with("不再重发");
        let key = line.split('`').nth(1).unwrap_or_default().to_owned();
        Self { key, sources, numbers, later: said(cells[6]), resolved: said(cells[7]), repeated }
    }
}

/// The list in Chinese is written by hand: no limit, rate or source of it may fall behind the registry's.
#[test]
fn the_chinese_list_of_platforms_has_the_numbers_and_sources_of_the_english_one() {
    let listed = |name: &str| -> Vec<Listed> {
        let page = fs::read_to_string(root().join(name)).unwrap();
        page.lines().filter(|line| line.starts_with("| [`")).map(Listed::read).collect()
    };
    let (english, chinese) = (listed("docs/platforms.md"), listed("docs/platforms.zh-CN.md"));
    assert!(english.len() > 30, "{english:?}");
    assert_eq!(english.len(), chinese.len());
    for (wanted, said) in english.iter().zip(&chinese) {
        assert_eq!(said, wanted, "docs/platforms.zh-CN.md and docs/platforms.md differ about {}", wanted.key);
    }
}

/// Each row of a table of keys: its key, and what is the same in every language: names in backticks and numbers (sorted).
fn keys(table: &str) -> Vec<(String, Vec<String>)> {
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let read = |line: &str| {
        let parts: Vec<&str> = line.split('`').collect();
        let names = parts.iter().skip(1).step_by(2).map(|name| (*name).to_owned());
        let mut same: Vec<String> = names.chain(parts.iter().step_by(2).flat_map(|text| figures(text))).collect();
        same.sort();
        (parts[1].to_owned(), same)
    };
    rows.map(read).collect()
}

/// The keys of platforms in Chinese are written by hand: none is missing or left over, and names, defaults and limits are the program's.
#[test]
fn chinese_pages_of_platforms_have_the_keys_of_the_program() {
    let mut compared = 0;
    for platform in PLATFORMS {
        let name = format!("docs/platforms/{}.zh-CN.md", platform.name);
        let Ok(page) = fs::read_to_string(root().join(&name)) else { continue };
        let table = page.split_once("<!-- keys -->\n").and_then(|(_, rest)| rest.split_once("<!-- /keys -->"));
        let (table, _) = table.unwrap_or_else(|| panic!("{name} has no table of keys"));
        assert_eq!(keys(table), keys(&watchfire::config::platform_reference(platform.name)), "{name} has other keys than the program");
        compared += 1;
    }
    assert!(compared >= 16, "only {compared} pages were compared");
}

#[test]
fn fields_and_functions_of_templates_are_the_librarys() {
    let path = root().join("docs/templates.md");
    let cell = |text: &str| text.replace('|', "\\|");
    let mut fields = String::from("| field | what | meaning |\n|---|---|---|\n");
    for (field, shape, about) in watchfire::template::reference() {
        fields.push_str(&format!("| `{field}` | {shape} | {} |\n", cell(about)));
    }
    hold_part(&path, "fields", &fields);
    let mut functions = String::from("| function | arguments | how to write it |\n|---|---|---|\n");
    for function in watchfire::template::FUNCTIONS {
        let most = if function.max == usize::MAX { " or more".to_owned() } else { format!(" to {}", function.max) };
        let count = if function.min == function.max { function.min.to_string() } else { format!("{}{most}", function.min) };
        let about = match function.about.find("}}: ").or_else(|| function.about.rfind("}}")) {
            Some(end) => format!("`{}`{}", &function.about[..end + 2], &function.about[end + 2..]),
            None => function.about.to_owned(),
        };
        functions.push_str(&format!("| `{}` | {count} | {} |\n", function.name, cell(&about)));
    }
    hold_part(&path, "functions", &functions);
}

/// Every function is shown at work, not only listed.
#[test]
fn every_function_is_used_in_an_example() {
    let page = fs::read_to_string(root().join("docs/templates.md")).unwrap();
    let examples: String = page.split("```handlebars\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    for function in watchfire::template::FUNCTIONS {
        let ends = |c: char| !c.is_alphanumeric() && c != '_';
        let called = |before: &str| {
            examples.match_indices(&format!("{before}{}", function.name)).any(|(at, found)| examples[at + found.len()..].starts_with(ends))
        };
        assert!(["{", "(", "#"].into_iter().any(called), "docs/templates.md has no example of `{}`", function.name);
    }
}
