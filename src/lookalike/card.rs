//! What a client shows of a body, without its look: blocks of styled text, facts, buttons and pictures.

/// How a piece of text is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Style {
    /// Bold.
    pub bold: bool,
    /// Italic.
    pub italic: bool,
    /// Underlined.
    pub underline: bool,
    /// Struck through.
    pub strike: bool,
    /// As code.
    pub code: bool,
    /// A person, a group or everybody, who is pinged.
    pub mention: bool,
    /// A colour of the platform's, by its meaning.
    pub tint: Option<Tint>,
    /// Where a tap leads.
    pub link: Option<String>,
}

/// Colours that platforms have words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tint {
    /// Small print.
    Grey,
    /// Well.
    Green,
    /// In between.
    Orange,
    /// Bad.
    Red,
    /// Neutral.
    Blue,
}

/// A piece of text in one style; line breaks in it are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// The text as people read it.
    pub text: String,
    /// Its style.
    pub style: Style,
}

impl Span {
    /// Text without a style.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::default() }
    }

    /// A mention.
    pub fn mention(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style { mention: true, ..Style::default() } }
    }
}

/// A line of styled text.
pub type Line = Vec<Span>;

/// A part of a message, from top to bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading; 1 is the largest of 6.
    Heading(u8, Line),
    /// A paragraph.
    Text(Line),
    /// Small print.
    Small(Line),
    /// A quotation.
    Quote(Vec<Block>),
    /// List items, with the number of each where they are numbered.
    List(Vec<(Option<String>, Line)>),
    /// Code on lines of its own.
    Code(String),
    /// A line across.
    Rule,
    /// An empty line.
    Gap,
    /// Names and values.
    Facts(Vec<(String, Line)>),
    /// Buttons in a row.
    Buttons(Vec<Button>),
    /// A picture: its address. It is named and never fetched.
    Picture(String),
    /// A card, an attachment or an embed: `#rrggbb` of its edge or head, its head, and what is in it.
    Card {
        /// Colour as `#rrggbb`; empty for none.
        colour: String,
        /// The head in the card's colour; empty for none.
        head: Line,
        /// What is in it.
        blocks: Vec<Block>,
    },
    /// A mail: shown in a frame of its own, or as its text.
    Document {
        /// The HTML part.
        html: String,
        /// The plain part.
        text: String,
    },
}

impl Block {
    /// A paragraph of text without a style; `None` where there is none.
    pub fn text(text: &str) -> Option<Self> {
        (!text.trim().is_empty()).then(|| Block::Text(vec![Span::plain(text.trim_end())]))
    }
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What is on it.
    pub label: String,
    /// Where it leads; empty where the platform knows it only.
    pub url: String,
    /// Whether it is filled.
    pub primary: bool,
}

/// What a client shows of one body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// What a notification says, where the body has a text for it.
    pub notification: String,
    /// The message.
    pub blocks: Vec<Block>,
}
