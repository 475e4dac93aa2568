//! Every key of the configuration, declared once: the readers take their names from here, and the
//! reference and the schema for editors are made of it.
//!
//! A reader asks for a [`Key`] and never for a bare name, so a key that is not declared does not
//! compile. Tests hold the rest of a declaration (its type, limits, default and example) against
//! the readers.

pub(super) mod alert;
pub(super) mod idle;
pub(super) mod page;
pub(super) mod pool;
pub(super) mod provider;
pub(super) mod root;
pub(super) mod schedule;
pub(super) mod service;
mod shape;
#[cfg(test)]
mod tests;
pub(super) mod times;

use fleet::Seconds;

pub(super) use shape::Shape;

/// A key: its type, its default, an example and what it does.
pub(super) struct Key {
    /// As the file spells it.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds where it is left out.
    pub preset: Preset,
    /// A value as TOML spells it; empty where the section of its table shows one.
    pub example: &'static str,
    /// The unit of a number, in English and Chinese.
    pub unit: Option<[&'static str; 2]>,
    /// What it does, in English.
    pub text: &'static str,
    /// What it does, in Chinese.
    pub zh: &'static str,
}

/// What holds where a key is left out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Preset {
    /// It must be there.
    Required,
    /// This value, as TOML spells it.
    Is(&'static str),
    /// What these words say: English, then Chinese.
    Told(&'static str, &'static str),
}

/// What a key takes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// This value alone, as TOML spells it: it tells tables apart.
    Only(&'static str),
    /// Any text.
    Text,
    /// Text of some shape.
    Shaped(Shape),
    /// The path of a file or directory.
    Path,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A number above zero.
    Positive,
    /// A number of at least zero.
    NotNegative,
    /// A number from 0 to 100.
    Percent,
    /// A duration from the first to the second.
    Duration(Seconds, Seconds),
    /// A local date, or date and time: as text, or as TOML's own.
    LocalTime,
    /// Any of these.
    Either(&'static [Kind]),
    /// A list.
    List(&'static Kind),
    /// Names of the operator's choice, each with a value.
    Map(&'static Kind),
    /// A table.
    Table(&'static Section),
    /// An array of tables, each of one of these sections.
    Tables(&'static [&'static Section]),
    /// A table for each name of the operator's choice, of one of these sections.
    Named(&'static [&'static Section]),
}

/// The keys of a table.
pub(super) struct Section {
    /// As a file begins it, such as `[[service]]`; unique.
    pub heading: &'static str,
    /// The same in Chinese.
    pub heading_zh: &'static str,
    /// What the table is for, in English.
    pub text: &'static str,
    /// What the table is for, in Chinese.
    pub zh: &'static str,
    /// A piece of a configuration with such a table.
    pub example: &'static str,
    /// The way to the table in the example.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests put keys into the example by it"))]
    pub at: &'static [&'static str],
    /// Its own keys, in the order that a reader would want.
    pub keys: &'static [&'static Key],
    /// Sections whose keys it takes besides.
    pub takes: &'static [&'static Section],
    /// What keys say of each other.
    pub rules: &'static [Rule],
}

/// What keys of a table say of each other.
pub(super) enum Rule {
    /// The keys of exactly one of these sets.
    OneOf(&'static [&'static [&'static Key]]),
    /// Keys of one of these sets, or of none.
    Apart(&'static [&'static Key], &'static [&'static Key]),
    /// At least one of these.
    AnyOf(&'static [&'static Key]),
    /// All of these or none.
    Together(&'static [&'static Key]),
    /// Only where the first is one of these words.
    OnlyWhere(&'static Key, &'static [&'static str], &'static [&'static Key]),
    /// Required where the first is one of these words.
    NeededWhere(&'static Key, &'static [&'static str], &'static [&'static Key]),
}

impl Section {
    /// All keys that such a table takes.
    pub fn all_keys(&self) -> impl Iterator<Item = &'static Key> {
        let taken = self.takes.iter().flat_map(|section| section.keys);
        self.keys.iter().chain(taken).copied()
    }
}

/// Every section but the top of the file, each once, in the order in which a reader of the top
/// meets them.
pub(super) fn all_sections() -> Vec<&'static Section> {
    let mut found = Vec::new();
    below(&root::top::SECTION, &mut found);
    found
}

fn below(section: &'static Section, found: &mut Vec<&'static Section>) {
    for taken in section.takes {
        visit(taken, found);
    }
    for key in section.keys {
        for table in key.kind.tables() {
            visit(table, found);
        }
    }
}

fn visit(section: &'static Section, found: &mut Vec<&'static Section>) {
    if found.iter().all(|known| known.heading != section.heading) {
        found.push(section);
        below(section, found);
    }
}

impl Kind {
    /// The sections of the tables that it takes.
    fn tables(&self) -> &[&'static Section] {
        match self {
            Kind::Table(section) => std::slice::from_ref(section),
            Kind::Tables(sections) | Kind::Named(sections) => sections,
            Kind::Either(kinds) => {
                let of_tables = kinds.iter().map(Kind::tables).find(|tables| !tables.is_empty());
                of_tables.unwrap_or(&[])
            }
            _ => &[],
        }
    }
}

/// Declares the sections of a file, each as a module of its keys. A doc comment is the English text
/// of the reference.
macro_rules! sections {
    ($(
        $(#[doc = $text:literal])+
        zh $zh:literal;
        $module:ident $heading:literal $(or $heading_zh:literal)? at [$($at:literal),*]
        $(takes [$($taken:expr),+])?
        $(rules [$($rule:expr),+])?
        example $example:literal
        {$(
            $(#[doc = $doc:literal])+
            zh $key_zh:literal;
            $key:ident $name:literal: $kind:expr, $preset:tt, $eg:tt
                $(, in $unit:literal $unit_zh:literal)?;
        )*}
    )+) => {$(
        $(#[doc = $text])+
        pub(crate) mod $module {
            #[allow(unused_imports, reason = "some sections need none of these")]
            use super::*;
            $(
                $(#[doc = $doc])+
                pub(crate) static $key: Key = Key {
                    name: $name,
                    kind: $kind,
                    preset: preset!($preset),
                    example: example!($eg),
                    unit: [$(Some([$unit, $unit_zh]),)? None][0],
                    text: concat!($($doc, "\n"),+),
                    zh: $key_zh,
                };
            )*
            $(#[doc = $text])+
            pub(crate) static SECTION: Section = Section {
                heading: $heading,
                heading_zh: [$($heading_zh,)? $heading][0],
                text: concat!($($text, "\n"),+),
                zh: $zh,
                example: $example,
                at: &[$($at),*],
                keys: &[$(&$key),*],
                takes: &[$($(&$taken),+)?],
                rules: &[$($($rule),+)?],
            };
        }
    )+};
}

/// `[required]`, `[= VALUE]` or `["English", "Chinese"]`.
macro_rules! preset {
    ([required]) => {
        Preset::Required
    };
    ([= $value:tt]) => {
        Preset::Is(stringify!($value))
    };
    ([$text:literal, $zh:literal]) => {
        Preset::Told($text, $zh)
    };
}

/// A value as TOML spells it; `_` where a section shows one.
macro_rules! example {
    (_) => {
        ""
    };
    ($value:tt) => {
        stringify!($value)
    };
}

use {example, preset, sections};
