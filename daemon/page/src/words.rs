//! The page's words, in English and Chinese.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::http::{HeaderMap, header};
use report::Language;

const ENGLISH: &str = include_str!("words/en.toml");
const CHINESE: &str = include_str!("words/zh.toml");

/// The cookie that keeps the choice.
pub(super) const COOKIE: &str = "neap_lang";

/// What a visitor chose, or else what their browser asks for first.
pub(super) fn chosen(headers: &HeaderMap) -> Language {
    let text = |name| headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    let cookies = text(header::COOKIE).flat_map(|all| all.split(';'));
    let mut pairs = cookies.filter_map(|cookie| cookie.trim().split_once('='));
    let chosen = pairs.find(|(name, _)| *name == COOKIE).and_then(|(_, v)| Language::named(v));
    let asked = || {
        let mut tags = text(header::ACCEPT_LANGUAGE).flat_map(|all| all.split(','));
        tags.find_map(|tag| Language::named(tag.trim().get(..2)?))
    };
    chosen.or_else(asked).unwrap_or(Language::English)
}

/// The wording of a key.
pub(super) fn word(language: Language, key: &str) -> Option<&'static str> {
    words(language).get(key).map(String::as_str)
}

fn words(language: Language) -> &'static BTreeMap<String, String> {
    static READ: [OnceLock<BTreeMap<String, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    let (at, text) = match language {
        Language::English => (0, ENGLISH),
        Language::Chinese => (1, CHINESE),
    };
    // The files come with the program, and a test reads them.
    READ[at].get_or_init(|| toml::from_str(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_words() {
        let keys = |language| words(language).keys().collect::<Vec<_>>();
        assert!(keys(Language::English).len() > 50);
        assert_eq!(keys(Language::English), keys(Language::Chinese));
        let empty = words(Language::Chinese).values().filter(|word| word.trim().is_empty());
        assert_eq!(empty.count(), 0);
    }

    #[test]
    fn whatever_a_finding_says_first_has_a_word() {
        use fleet::Units;
        use planner::plan::What;
        let cut = What::Narrowed { wanted: Units(2), to: Units(1) };
        for what in [What::Held, cut, What::Noted] {
            let key = format!("label.{}", what.verb());
            assert!(word(Language::English, &key).is_some(), "{key}");
        }
    }

    #[test]
    fn whatever_a_line_of_an_explanation_begins_with_has_a_word() {
        for label in report::explanation::LABELS {
            for language in [Language::English, Language::Chinese] {
                assert!(word(language, &format!("label.{label}")).is_some(), "{label}");
            }
        }
    }

    #[test]
    fn a_choice_comes_before_what_the_browser_asks_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(chosen(&headers), Language::English);
        headers.insert(header::ACCEPT_LANGUAGE, "fr-FR, zh-CN;q=0.9, en;q=0.8".parse().unwrap());
        assert_eq!(chosen(&headers), Language::Chinese);
        headers.insert(header::COOKIE, "a=b; neap_lang=en".parse().unwrap());
        assert_eq!(chosen(&headers), Language::English);
    }
}
