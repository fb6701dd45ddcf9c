//! Configurations and templates in the documents, tried: every `yaml` block passes the real check, every `handlebars` block renders the text below it.
//!
//! A `yaml` block is read as routes.yaml; what it leaves out is filled with one channel and a route. Blocks of other programs are marked by a
//! comment on the line before: `<!-- alertmanager -->`, `<!-- compose -->`, `<!-- grafana -->`, `<!-- prometheus -->`, `<!-- kubernetes -->`,
//! `<!-- preset: NAME -->`.

use std::fs;
use std::path::Path;

use serde_yaml::{Mapping, Value};
use watchfire::channel::PLATFORMS;
use watchfire::config::{self, LoadOptions};
use watchfire::model::Language;
use watchfire::template::{PlatformFields, Source, TemplateRegistry, samples};

use crate::docs_book::{pages, root};

/// A fenced block: language, text, what the line before it says in a comment, and its line.
pub struct Block {
    pub language: String,
    pub text: String,
    pub mark: String,
    pub line: usize,
}

/// Every fenced block of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    let (mut open, mut before): (Option<Block>, &str) = (None, "");
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let mark = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")).unwrap_or_default().to_owned();
                open = Some(Block { language: language.trim().to_owned(), text: String::new(), mark, line: number + 1 });
            }
            (Some(_), Some(_)) => out.extend(open.take()),
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
        if !line.trim().is_empty() {
            before = line;
        }
    }
    out
}

/// The block with what routes.yaml needs and it leaves out.
fn filled(text: &str) -> Result<String, String> {
    let given: Mapping = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let mut whole = text.to_owned();
    if !given.contains_key("channels") {
        whole.push_str("channels: { terminal: { log: {} } }\n");
    }
    if !given.contains_key("route") {
        let first = given.get("channels").and_then(Value::as_mapping).and_then(|all| all.keys().next()).and_then(Value::as_str).unwrap_or("terminal");
        whole.push_str(&format!("route: {{ to: [{first}] }}\n"));
    }
    Ok(whole)
}

fn check(folder: &Path, text: &str) -> Result<(), String> {
    let file = folder.join("routes.yaml");
    fs::write(&file, text).map_err(|error| error.to_string())?;
    config::load(&file, &LoadOptions::without_secrets()).map(|_| ()).map_err(|findings| config::report(&findings))
}

/// A folder with what the examples name: certificates cannot be made up, templates can.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    folder
}

#[test]
fn every_configuration_passes_the_check() {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for path in pages() {
        let all: Vec<Block> = blocks(&fs::read_to_string(&path).unwrap()).into_iter().filter(|block| block.language == "yaml").collect();
        // Files that the configurations of the page include.
        let (included, all): (Vec<Block>, Vec<Block>) = all.into_iter().partition(|block| block.mark.starts_with("file: "));
        assert!(included.is_empty() || all.iter().any(|block| block.text.starts_with("include:")), "{}: nothing includes them", path.display());
        for block in all {
            let folder = folder();
            for file in &included {
                let at = folder.path().join(&file.mark["file: ".len()..]);
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                fs::write(at, &file.text).unwrap();
            }
            let result = match block.mark.split_once(": ").unwrap_or((&block.mark, "")) {
                ("alertmanager" | "compose" | "grafana" | "prometheus" | "kubernetes", _) => {
                    serde_yaml::from_str::<Mapping>(&block.text).map(|_| ()).map_err(|error| error.to_string())
                }
                ("preset", name) => preset(folder.path(), name, &block.text),
                _ => filled(&block.text).and_then(|text| check(folder.path(), &text)),
            };
            tried += 1;
            if let Err(why) = result {
                wrong.push(format!("{}:{}:\n{why}", path.strip_prefix(root()).unwrap().display(), block.line));
            }
        }
    }
    assert!(tried > 25, "only {tried} configurations were found");
    assert!(wrong.is_empty(), "configurations in the documents that do not pass:\n{}", wrong.join("\n"));
}

/// A preset is tried by a channel that has all it asks for.
fn preset(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let preset: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    fs::create_dir_all(folder.join("templates/presets")).map_err(|error| error.to_string())?;
    fs::write(folder.join(format!("templates/presets/{name}.yaml")), text).map_err(|error| error.to_string())?;
    let mut with = Mapping::new();
    for (parameter, about) in preset.get("parameters").and_then(Value::as_mapping).into_iter().flatten() {
        let value = match about.get("kind").and_then(Value::as_str) {
            Some("address") => Value::from("https://board.example.com"),
            Some("number") => Value::from("7"),
            _ => Value::from("word"),
        };
        with.insert(parameter.clone(), value);
    }
    let with = serde_yaml::to_string(&with).map_err(|error| error.to_string())?.replace('\n', "\n        ");
    let routes = format!(
        "templates: templates\nchannels:\n  c:\n    preset:\n      name: {name}\n      params:\n        {}\nroute: {{ to: [c] }}\n",
        with.trim_end()
    );
    check(folder, &routes)
}

/// The examples are the same in both languages, so that a page does not fall behind its translation.
#[test]
fn chinese_pages_have_the_configurations_of_the_english_ones() {
    let mut compared = 0;
    for path in pages() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(english) = name.strip_suffix(".zh-CN.md").filter(|_| path.starts_with(root().join("docs"))) else { continue };
        let chinese = fs::read_to_string(&path).unwrap();
        let page = fs::read_to_string(path.with_file_name(format!("{english}.md"))).unwrap_or_else(|error| panic!("the page of {name}: {error}"));
        assert!(chinese.contains(&format!("\n[English]({english}.md)\n")), "{name} has no link to {english}.md");
        assert!(page.contains(&format!("]({name})")), "{english}.md has no link to {name}");
        let there = blocks(&chinese);
        for block in blocks(&page).into_iter().filter(|block| block.language == "yaml") {
            compared += 1;
            let found = there.iter().any(|other| other.language == "yaml" && other.mark == block.mark && other.text == block.text);
            assert!(found, "{name} lacks the configuration of {english}.md:{}:\n{}", block.line, block.text);
        }
    }
    assert!(compared >= 40, "only {compared} configurations were compared");
}

/// A block as pages in two languages share it: its language, its mark, and the first word of each line of a script, or all of a template.
type Script = (String, String, Vec<String>);

/// What is below a heading, the top of the page being one of level 0: its level, its rows of tables, and its items of lists.
type Section = (usize, usize, usize);

/// A page's sections, of generated tables only the heading, and its blocks without those of configurations.
fn shape(page: &str) -> (Vec<Section>, Vec<Script>) {
    let (mut sections, mut fenced, mut generated): (Vec<Section>, bool, bool) = (vec![(0, 0, 0)], false, false);
    for line in page.lines() {
        fenced ^= line.starts_with("```");
        let level = line.len() - line.trim_start_matches('#').len();
        if fenced {
            continue;
        }
        if level > 0 && line[level..].starts_with(' ') {
            generated = false;
            sections.push((level, 0, 0));
        }
        generated |= matches!(line, "<!-- keys -->" | "<!-- functions -->" | "<!-- fields -->");
        let text = line.trim_start();
        let is_item = text.starts_with("- ") || text.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(". ");
        if let Some((_, rows, items)) = sections.last_mut().filter(|_| !generated) {
            *rows += usize::from(text.starts_with('|'));
            *items += usize::from(is_item);
        }
    }
    let words = |block: &Block| -> Vec<String> {
        // What a template is renders to the text below it in both.
        if block.language == "handlebars" {
            return block.text.lines().map(str::to_owned).collect();
        }
        let script = block.text.lines().filter(|_| block.language == "sh");
        script.filter_map(|line| line.split([' ', '=']).find(|word| !word.is_empty()).map(str::to_owned)).collect()
    };
    let scripts = blocks(page).into_iter().filter(|block| block.language != "yaml");
    (sections, scripts.map(|block| (block.language.clone(), block.mark.clone(), words(&block))).collect())
}

/// A section, a row of a table, an item of a list or a command that one language has and the other has not is missed here.
#[test]
fn chinese_pages_have_the_sections_and_commands_of_the_english_ones() {
    let mut compared = 0;
    for path in pages() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(english) = name.strip_suffix(".zh-CN.md") else { continue };
        let (chinese, page) = (fs::read_to_string(&path).unwrap(), fs::read_to_string(path.with_file_name(format!("{english}.md"))).unwrap());
        let ((sections, scripts), (wanted, commands)) = (shape(&chinese), shape(&page));
        assert_eq!(sections, wanted, "{name} has other headings, rows or items than {english}.md");
        assert_eq!(scripts, commands, "{name} has other commands than {english}.md");
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} pages were compared");
}

#[test]
fn the_shape_of_a_page_is_its_headings_rows_items_and_scripts() {
    let page = "- o\n# a\n\n| x |\n|---|\n| y |\n## b\n1. p\n   - q\n\n<!-- run -->\n```sh\n# c\nexport A=b\nx --y\n- z\n```\n\n```yaml\nd: 1\n```\n#e\n### f\n\
                <!-- keys -->\n| k |\n## g\n- r\n";
    let (sections, scripts) = shape(page);
    assert_eq!(sections, [(0, 0, 1), (1, 3, 0), (2, 0, 2), (3, 0, 0), (2, 0, 1)]);
    let words = ["#", "export", "x", "-"].map(str::to_owned).to_vec();
    assert_eq!(scripts, [("sh".to_owned(), "run".to_owned(), words)]);
}

#[test]
fn a_wrong_configuration_would_be_found() {
    let folder = folder();
    for text in ["chanels: {}\n", "server: { listen: nowhere }\n", "channels: { a: { slack: { chanel: x } } }\n"] {
        assert!(check(folder.path(), &filled(text).unwrap()).is_err(), "{text}");
    }
    assert!(preset(folder.path(), "x", "title: x\n").is_err());
}

/// One template on one platform, over one of the library's own samples.
fn rendered(mark: &str, template: &str) -> String {
    let asked = |key: &str, otherwise: &'static str| {
        let found = mark.split(',').find_map(|part| part.trim().strip_prefix(key)?.strip_prefix(": ").map(str::to_owned));
        found.unwrap_or_else(|| otherwise.to_owned())
    };
    let (platform, sample, language) = (asked("platform", "log"), asked("sample", "firing"), asked("language", "en"));
    let fields: Vec<PlatformFields> = PLATFORMS.iter().map(|p| PlatformFields { platform: p.name, fields: p.fields }).collect();
    let path = format!("{platform}/default.text.hbs");
    let source = Source::from_path(Path::new(&path), path.clone(), template.to_owned()).unwrap();
    let (library, findings) = TemplateRegistry::compile(&fields, vec![source]);
    assert!(findings.is_empty(), "{template}\n{}", config::report(&findings));
    let language = if language == "zh" { Language::Zh } else { Language::En };
    let (_, view) = samples(language).into_iter().find(|(name, _)| *name == sample).unwrap_or_else(|| panic!("no sample `{sample}`"));
    library.preview(&platform, "default", &view).unwrap_or_else(|error| panic!("{template}\n{error}")).remove("text").unwrap()
}

/// `UPDATE=1` writes what comes out below each template.
#[test]
fn every_template_gives_the_text_below_it() {
    let path = root().join("docs/templates.md");
    let page = fs::read_to_string(&path).unwrap();
    let (mut now, mut tried, mut wrong) = (page.clone(), 0, Vec::new());
    let all = blocks(&page);
    for pair in all.windows(2).filter(|pair| pair[0].language == "handlebars") {
        assert_eq!(pair[1].language, "text", "line {}: what comes out is to stand below the template", pair[0].line);
        let out = rendered(&pair[0].mark, &pair[0].text).trim_end().to_owned() + "\n";
        tried += 1;
        if out != pair[1].text {
            let (template, shown) = (&pair[0].text, &pair[1].text);
            now = now.replacen(
                &format!("```handlebars\n{template}```\n\n```text\n{shown}```"),
                &format!("```handlebars\n{template}```\n\n```text\n{out}```"),
                1,
            );
            wrong.push(format!("line {}: {template}gives\n{out}and not\n{shown}", pair[0].line));
        }
    }
    if !wrong.is_empty() && std::env::var_os("UPDATE").is_some() {
        fs::write(&path, now).unwrap();
        return;
    }
    assert!(tried >= 11, "only {tried} templates were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
