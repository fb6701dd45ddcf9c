//! All templates: compiled, checked and ready to render; lookups while rendering allocate nothing.
//!
//! One registry per platform and dialect, because Handlebars escapes per registry. The built-in templates stay beside the overridden ones: they
//! are what a message falls back to when an override fails while rendering.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use handlebars::Handlebars;

use crate::model::{Escape, Finding};

use super::check::{self, Loaded, Walk, closest};
use super::render::{FieldTemplate, render_field};
pub use super::sources::DEFAULT_SET;
use super::sources::{SHARED, built_in};
use super::{FieldUsage, PlatformFields, RenderError, Scene, Source, View, escape, functions, samples};

/// All templates of all platforms.
#[derive(Default)]
pub struct TemplateRegistry {
    platforms: BTreeMap<&'static str, PlatformTemplates>,
    /// What the user wrote, to be compiled once more beside what somebody tries.
    overrides: Vec<Source>,
    /// What was found in it.
    findings: Vec<Finding>,
}

/// One platform's templates. Those of which the user wrote nothing are compiled when they are first asked for: there are dozens of platforms, and a
/// configuration uses a few.
struct PlatformTemplates {
    platform: PlatformFields,
    compiled: OnceLock<Compiled>,
}

impl PlatformTemplates {
    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| {
            let shipped = Shipped::of(&self.platform);
            Compiled { sets: shipped.sets.clone(), built_in: shipped.default_set() }
        })
    }

    fn set(&self, name: &str) -> &Set {
        let Compiled { sets, built_in } = self.compiled();
        sets.get(name).or_else(|| sets.get(DEFAULT_SET)).unwrap_or(built_in)
    }
}

/// What a platform's templates compile to.
struct Compiled {
    sets: BTreeMap<String, Set>,
    /// The built-in default set, with built-in partials only.
    built_in: Set,
}

/// One set's templates, a field each.
#[derive(Clone, Default)]
struct Set {
    fields: Vec<FieldTemplate>,
    /// What they read.
    usage: FieldUsage,
}

/// What a platform's built-in templates compile to.
struct Shipped {
    files: Files,
    sets: BTreeMap<String, Set>,
    findings: Vec<Finding>,
}

impl Shipped {
    /// They depend on nothing that a configuration says, so a process compiles them once: a reload compiles only what the user wrote.
    fn of(platform: &PlatformFields) -> Arc<Self> {
        // A platform's name and the address of its static fields, because tests have platforms of their own.
        static ALL: Mutex<BTreeMap<(&str, usize), Arc<Shipped>>> = Mutex::new(BTreeMap::new());
        let all = || ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (platform.platform, platform.fields.as_ptr() as usize);
        if let Some(known) = all().get(&key) {
            return Arc::clone(known);
        }
        let mut findings = Vec::new();
        let files = load(platform, built_in(platform).iter(), &mut findings);
        let sets = build_sets(platform, &files, &files, &samples::samples(crate::model::Language::En), &mut findings);
        let shipped = Arc::new(Self { files, sets, findings });
        all().insert(key, Arc::clone(&shipped));
        shipped
    }

    fn default_set(&self) -> Set {
        self.sets.get(DEFAULT_SET).cloned().unwrap_or_default()
    }
}

/// A platform's files, parsed: by set and field, and partials by name.
#[derive(Default)]
struct Files {
    fields: BTreeMap<(String, &'static str), Arc<Loaded>>,
    partials: BTreeMap<String, Loaded>,
}

impl TemplateRegistry {
    /// Compiles and checks `overrides`, which replace the built-in templates file by file and add sets and partials. A set that lacks a field takes
    /// the one of the platform's `default` set. Everything wrong is found at once: syntax, unknown fields and functions, bad partials, and templates
    /// that fail on a sample. A file with an error is left out; the others stay usable.
    pub fn compile(platforms: &[PlatformFields], overrides: Vec<Source>) -> (TemplateRegistry, Vec<Finding>) {
        let mut findings = Vec::new();
        for source in &overrides {
            findings.extend(unused(source, platforms));
        }
        let mut registry = TemplateRegistry::default();
        for platform in platforms {
            let mine = |source: &&Source| source.platform == platform.platform || source.platform == SHARED;
            let templates = PlatformTemplates { platform: *platform, compiled: OnceLock::new() };
            if overrides.iter().any(|source| mine(&source)) {
                let shipped = Shipped::of(platform);
                let mut found = shipped.findings.clone();
                // Checked again below, together with what overrides it: only what is wrong in the overrides is news then.
                let sources = built_in(platform);
                let all = load(platform, sources.iter().chain(overrides.iter().filter(mine)), &mut found);
                found.extend(idle_partials(platform, &all, &overrides));
                let sets = build_sets(platform, &all, &shipped.files, &samples::samples(crate::model::Language::En), &mut found);
                for finding in found {
                    if !findings.contains(&finding) {
                        findings.push(finding);
                    }
                }
                _ = templates.compiled.set(Compiled { sets, built_in: shipped.default_set() });
            }
            registry.platforms.insert(platform.platform, templates);
        }
        registry.overrides = overrides;
        registry.findings.clone_from(&findings);
        (registry, findings)
    }

    /// What is wrong in the built-in templates of platforms. Nothing is, which a test asserts: nobody else asks.
    pub fn built_in_findings(platforms: &[PlatformFields]) -> Vec<Finding> {
        platforms.iter().flat_map(|platform| Shipped::of(platform).findings.clone()).collect()
    }

    /// One platform's templates with one more file, which replaces the one of its name; and what is wrong because of it.
    pub fn with(&self, platform: PlatformFields, source: Source) -> (TemplateRegistry, Vec<Finding>) {
        let is_other = |known: &&Source| (&known.platform, &known.set, &known.field) != (&source.platform, &source.set, &source.field);
        let mut overrides: Vec<Source> = self.overrides.iter().filter(is_other).cloned().collect();
        overrides.retain(|known| known.platform == platform.platform || known.platform == SHARED);
        overrides.push(source);
        let (registry, mut findings) = Self::compile(&[platform], overrides);
        findings.retain(|finding| !self.findings.contains(finding));
        (registry, findings)
    }

    /// The text of a field's template in a set; `None` when the set has none of its own.
    pub fn text(&self, platform: &str, set: &str, field: &str) -> Option<&str> {
        let set = self.platforms.get(platform)?.compiled().sets.get(set)?;
        set.fields.iter().find(|known| known.spec.name == field).map(|known| known.loaded.text.as_str())
    }

    /// Whether a platform has a set of this name.
    pub fn has_set(&self, platform: &str, set: &str) -> bool {
        self.platforms.get(platform).is_some_and(|templates| templates.compiled().sets.contains_key(set))
    }

    /// Whether nothing of a platform's set was written by the user.
    pub fn is_built_in(&self, platform: &str, set: &str) -> bool {
        let Some(templates) = self.platforms.get(platform) else { return false };
        let (set, own) = (templates.set(set), &templates.compiled().built_in);
        set.fields.len() == own.fields.len() && set.fields.iter().zip(&own.fields).all(|(one, other)| Arc::ptr_eq(&one.loaded, &other.loaded))
    }

    /// The sets of a platform, sorted.
    pub fn sets(&self, platform: &str) -> impl Iterator<Item = &str> {
        self.platforms.get(platform).into_iter().flat_map(|templates| templates.compiled().sets.keys().map(String::as_str))
    }

    /// Renders every field of a page. A set that does not exist (it was removed while a message waited) renders as `default`. An optional field
    /// that comes out empty is left out; a required one that comes out empty is an error.
    pub fn render(&self, platform: &str, set: &str, scene: &Scene<'_>) -> Result<BTreeMap<String, String>, RenderError> {
        let templates = self.templates(platform)?;
        let set = templates.set(set);
        render_all(set, &View::new(scene, &set.usage))
    }

    /// Renders with a view of [`crate::template::samples()`], which has everything.
    pub fn preview(&self, platform: &str, set: &str, sample: &View) -> Result<BTreeMap<String, String>, RenderError> {
        render_all(self.templates(platform)?.set(set), sample)
    }

    /// Renders with the built-in default templates: for a page whose own templates failed.
    pub fn render_built_in(&self, platform: &str, scene: &Scene<'_>) -> Result<BTreeMap<String, String>, RenderError> {
        let set = &self.templates(platform)?.compiled().built_in;
        render_all(set, &View::new(scene, &set.usage))
    }

    fn templates(&self, platform: &str) -> Result<&PlatformTemplates, RenderError> {
        self.platforms.get(platform).ok_or_else(|| RenderError {
            file: format!("templates/{platform}"),
            line: 0,
            column: 0,
            reason: format!("there are no templates for the platform `{platform}`"),
        })
    }
}

impl std::fmt::Debug for TemplateRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.platforms.keys()).finish()
    }
}

fn render_all(set: &Set, view: &View) -> Result<BTreeMap<String, String>, RenderError> {
    let mut out = BTreeMap::new();
    for field in &set.fields {
        let text = render_field(field, view)?;
        if !text.is_empty() {
            out.insert(field.spec.name.to_owned(), text);
        }
    }
    Ok(out)
}

/// Parses a platform's files; later ones replace earlier ones of the same name. A file with a syntax error replaces nothing.
fn load<'a>(platform: &PlatformFields, sources: impl Iterator<Item = &'a Source>, findings: &mut Vec<Finding>) -> Files {
    let mut files = Files::default();
    // Shared partials first, so that a platform's own of the same name wins; built-in before overriding ones, as they come.
    let (shared, own): (Vec<_>, Vec<_>) = sources.partition(|source| source.platform == SHARED);
    for source in shared.into_iter().chain(own) {
        let field = platform.fields.iter().find(|field| field.name == source.field);
        if !source.is_partial() && field.is_none() {
            continue;
        }
        match check::parse(source.file.clone(), source.text.clone()) {
            Err(finding) => findings.push(*finding),
            Ok(loaded) if source.is_partial() => drop(files.partials.insert(source.set.clone(), loaded)),
            Ok(loaded) => drop(files.fields.insert((source.set.clone(), field.map_or("", |field| field.name)), Arc::new(loaded))),
        }
    }
    files
}

/// Checks a platform's files and puts the sound ones into sets; what is unsound is replaced by what `fallback` has.
fn build_sets(
    platform: &PlatformFields,
    files: &Files,
    fallback: &Files,
    samples: &[(&'static str, View)],
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, Set> {
    let (registries, plain_registries) = (registries(platform, files), registries(platform, fallback));
    let mut sound: BTreeMap<(&str, &str), FieldTemplate> = BTreeMap::new();
    for ((set, name), loaded) in &files.fields {
        let Some(spec) = platform.fields.iter().find(|field| field.name == *name) else { continue };
        let Some(registry) = registries.get(&spec.escape) else { continue };
        let walk = Walk::over(loaded, &files.partials);
        let mut found = walk.findings;
        // Whatever is unsound may include itself.
        let template = found.is_empty().then(|| FieldTemplate::new(spec, loaded, registry, walk.usage, &files.partials));
        if let Some(template) = &template {
            found = try_samples(template, samples);
        }
        match template {
            Some(template) if found.is_empty() => drop(sound.insert((set, name), template)),
            _ => {
                findings.extend(found);
                if let (Some(loaded), Some(registry)) = (fallback.fields.get(&(set.clone(), name)), plain_registries.get(&spec.escape)) {
                    let usage = Walk::over(loaded, &fallback.partials).usage;
                    sound.insert((set, name), FieldTemplate::new(spec, loaded, registry, usage, &fallback.partials));
                }
            }
        }
    }
    let mut names: BTreeSet<&str> = files.fields.keys().map(|(set, _)| set.as_str()).collect();
    names.insert(DEFAULT_SET);
    let mut sets = BTreeMap::new();
    for set in names {
        let mut built = Set::default();
        for spec in platform.fields {
            match sound.get(&(set, spec.name)).or_else(|| sound.get(&(DEFAULT_SET, spec.name))) {
                Some(template) => {
                    built.usage.join(&template.usage);
                    built.fields.push(template.clone());
                }
                None if spec.required => findings.push(missing(platform.platform, set, spec.name)),
                None => {}
            }
        }
        sets.insert(set.to_owned(), built);
    }
    sets
}

/// One registry for each dialect that the platform's fields have, with all its partials.
fn registries(platform: &PlatformFields, files: &Files) -> HashMap<Escape, Arc<Handlebars<'static>>> {
    let mut out = HashMap::new();
    for field in platform.fields {
        let dialect = field.escape;
        out.entry(dialect).or_insert_with(|| {
            let mut registry = Handlebars::new();
            // Not Handlebars' strict mode: the schema is stricter (it finds every unknown field at load, in branches no sample takes, too), and
            // a label that one alert lacks must read as empty instead of failing the message.
            registry.set_strict_mode(false);
            registry.register_escape_fn(move |value: &str| escape::escape(dialect, value));
            functions::register(&mut registry, dialect);
            for (name, partial) in &files.partials {
                registry.register_template(name, partial.template.clone());
            }
            Arc::new(registry)
        });
    }
    out
}

/// Renders a template on every sample; stops at the first that fails.
fn try_samples(template: &FieldTemplate, samples: &[(&'static str, View)]) -> Vec<Finding> {
    for (name, view) in samples {
        if let Err(error) = render_field(template, view) {
            let loaded = &template.loaded;
            let finding = Finding::error(check::SAMPLE, format!("the template fails on the sample \"{name}\"")).label(error.reason.clone());
            let place = if error.file == loaded.file {
                loaded.file().place(loaded.file().offset(error.line.max(1), error.column.max(1)), 1)
            } else {
                crate::model::Place { file: error.file.clone(), span: None, line_text: None }
            };
            return vec![finding.at(place)];
        }
    }
    Vec::new()
}

fn missing(platform: &str, set: &str, field: &str) -> Finding {
    let place = crate::model::Place { file: format!("templates/{platform}/{set}.{field}.hbs"), span: None, line_text: None };
    Finding::error(check::MISSING, format!("the field `{field}` of {platform} has no template"))
        .at(place)
        .label("neither the set nor `default` has one")
}

/// A file that belongs to nothing.
fn unused(source: &Source, platforms: &[PlatformFields]) -> Option<Finding> {
    let place = crate::model::Place { file: source.file.clone(), span: None, line_text: None };
    let warn = |message: String, label: String| Some(Finding::warning(check::UNUSED, message).at(place.clone()).label(label));
    if source.platform == SHARED {
        let label = "in the shared folder only partials are used: `_name.hbs`".to_owned();
        return if source.is_partial() { None } else { warn("nothing uses this template".into(), label) };
    }
    let Some(platform) = platforms.iter().find(|platform| platform.platform == source.platform) else {
        let known = || platforms.iter().map(|platform| platform.platform);
        let meant = closest(&source.platform, known())
            .map_or_else(|| format!("known are {}", known().collect::<Vec<_>>().join(", ")), |meant| format!("did you mean `{meant}`?"));
        return warn(format!("nothing uses this template: there is no platform `{}`", source.platform), meant);
    };
    if source.is_partial() || platform.fields.iter().any(|field| field.name == source.field) {
        return None;
    }
    let known = || platform.fields.iter().map(|field| field.name);
    let fields = known().collect::<Vec<_>>().join(", ");
    if source.field.is_empty() {
        return warn(
            "nothing uses this template: its name has no field".into(),
            format!("name it `<set>.<field>.hbs`; the fields of {} are {fields}", platform.platform),
        );
    }
    let meant = closest(&source.field, known()).map_or_else(|| format!("its fields are {fields}"), |meant| format!("did you mean `{meant}`?"));
    warn(format!("nothing uses this template: {} has no field `{}`", platform.platform, source.field), meant)
}

/// Partials of the platform's own folder that no template includes.
fn idle_partials(platform: &PlatformFields, files: &Files, overrides: &[Source]) -> Vec<Finding> {
    let used: BTreeSet<String> = files.fields.values().flat_map(|loaded| Walk::over(loaded, &files.partials).used).collect();
    let idle = overrides.iter().filter(|source| source.platform == platform.platform && source.is_partial() && !used.contains(&source.set));
    idle.map(|source| {
        let place = crate::model::Place { file: source.file.clone(), span: None, line_text: None };
        let meant = closest(&source.set, files.partials.keys().map(String::as_str).filter(|name| *name != source.set));
        let label = meant.map_or_else(|| format!("include it with `{{{{> {}}}}}`", source.set), |meant| format!("did you mean `{meant}.hbs`?"));
        Finding::warning(check::UNUSED, "no template includes this partial").at(place).label(label)
    })
    .collect()
}
