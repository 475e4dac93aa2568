//! The reference of all keys as a page of the documents, in both languages.

use std::fmt::Write as _;

use super::keys::{Key, Kind, Preset, Rule, Section, all_sections, root};
use super::schema::{id, one_line};

/// The language of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceLanguage {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

use ReferenceLanguage::{Chinese, English};

impl ReferenceLanguage {
    fn choose<'t>(self, english: &'t str, chinese: &'t str) -> &'t str {
        match self {
            English => english,
            Chinese => chinese,
        }
    }
}

const OPENING: [&str; 2] = [
    "# Configuration reference

This page lists every key of the configuration. It is generated from the program's source, and tests
compare it with what the program reads.

`neap check` reads a file and reports every fault at once. `neap check --schema` prints a JSON Schema
for editors:

```sh
neap check --schema > neap.schema.json
```

Taplo and Even Better TOML use it when the first line of the file is `#:schema ./neap.schema.json`.

How values are written:

- A **duration** is text of whole numbers with units, from large to small: `\"45s\"`, `\"1h30m\"`,
  `\"2d\"`, `\"1w\"`.
- A **share** is text in percent: `\"0.5%\"`.
- A **path** is relative to the configuration file where it names the kill switch or a file with a
  secret, holidays, prices or a template. All other paths are relative to the working directory.
- A **local time** is a date, or a date and a time, without an offset: `2026-12-24`,
  `\"2026-12-24T18:00\"`. The time zone is in `timezone`.
- **Weekly windows** are `\"Mon-Fri 08:30-20:00\"`, `\"Sat,Sun 00:00-24:00\"`, `\"daily 22:00-06:00\"`
  (ends on the next day) and `\"Fri 18:00-Mon 08:00\"` (one stretch). An end of `23:59` is the end of
  the day, as `24:00` is.
- **Windows of a month** are weekly windows with `first`, `second`, `third`, `fourth`, `fifth` or
  `last`, or several of them, before their days: `\"first Thu 02:00-04:00\"`,
  `\"second,fourth Mon 09:00-12:00\"`, `\"last Fri 18:00-Mon 08:00\"`. They can be written wherever
  weekly windows can. Months without a fifth day of that name have no such window.
- **Yearly windows** are `\"11-11\"` (the whole day), `\"11-11 20:00-24:00\"` and
  `\"11-10 20:00-11-12 02:00\"`.
",
    "# 配置参考

本页列出配置的每一个键。内容由程序源码生成，并有测试将其与程序实际读取的内容比对。

`neap check` 读取文件并一次报告所有错误。`neap check --schema` 输出供编辑器使用的 JSON Schema：

```sh
neap check --schema > neap.schema.json
```

文件第一行写上 `#:schema ./neap.schema.json`，Taplo 和 Even Better TOML 就会使用它。

值的写法：

- **时长**是带单位的整数文本，单位从大到小：`\"45s\"`、`\"1h30m\"`、`\"2d\"`、`\"1w\"`。
- **比例**是百分比文本：`\"0.5%\"`。
- **路径**：紧急停止开关以及机密、节假日、价格和模板文件的路径相对于配置文件所在目录，其他路径相对于工作目录。
- **当地时间**是日期，或日期加时间，不带时差：`2026-12-24`、`\"2026-12-24T18:00\"`。时区写在 `timezone` 中。
- **每周时段**写作 `\"Mon-Fri 08:30-20:00\"`、`\"Sat,Sun 00:00-24:00\"`、`\"daily 22:00-06:00\"`（次日结束）和
  `\"Fri 18:00-Mon 08:00\"`（连续一段）。结束时间 `23:59` 与 `24:00` 一样，指一天的结束。
- **每月时段**是在星期几之前写上 `first`、`second`、`third`、`fourth`、`fifth` 或 `last`（可以写多个）的每周时段：
  `\"first Thu 02:00-04:00\"`（每月第一个星期四）、`\"second,fourth Mon 09:00-12:00\"`、`\"last Fri 18:00-Mon 08:00\"`
  （最后一个星期五起）。凡可写每周时段之处均可使用。没有第五个该星期几的月份没有此时段。
- **每年时段**写作 `\"11-11\"`（全天）、`\"11-11 20:00-24:00\"` 和 `\"11-10 20:00-11-12 02:00\"`。
",
];

/// The page.
pub fn reference(language: ReferenceLanguage) -> String {
    let mut page = language.choose(OPENING[0], OPENING[1]).to_owned();
    let top = std::iter::once(&root::top::SECTION);
    for section in top.chain(all_sections()) {
        page.push_str(&part(section, language));
    }
    page
}

/// A section: what it is for, an example, its keys and what they say of each other.
fn part(section: &Section, language: ReferenceLanguage) -> String {
    let heading = language.choose(section.heading, section.heading_zh);
    let text = paragraph(language.choose(section.text, section.zh), language);
    let mut part = format!("\n<a id=\"{}\"></a>\n\n## {heading}\n\n{text}\n", id(section));
    let _ = write!(part, "\n```toml\n{}```\n", section.example);
    for taken in section.takes {
        let names: Vec<String> = taken.all_keys().map(|key| format!("`{}`", key.name)).collect();
        let lead = language.choose("It also takes the", "还可使用");
        let mark = language.choose(", ", "、");
        let title = language.choose(taken.heading, taken.heading_zh);
        let line = match language {
            English => {
                format!("{lead} {}: {}.", link(&lower_first(title), taken), names.join(mark))
            }
            Chinese => format!("{lead}{}：{}。", link(title, taken), names.join(mark)),
        };
        let _ = write!(part, "\n{line}\n");
    }
    for rule in section.rules {
        let _ = write!(part, "\n{}\n", said(rule, language));
    }
    for key in section.keys {
        part.push_str(&block(key, language));
    }
    part
}

/// `Keys of …` in the middle of a sentence.
fn lower_first(title: &str) -> String {
    match title.strip_prefix("Keys of ") {
        Some(rest) => format!("keys of {rest}"),
        None => format!("keys of {title}"),
    }
}

fn link(text: &str, section: &Section) -> String {
    format!("[{text}](#{})", id(section))
}

/// Chinese has no blanks between words, so its lines are not folded.
fn paragraph(text: &str, language: ReferenceLanguage) -> String {
    match language {
        English => one_line(text),
        Chinese => text.trim().to_owned(),
    }
}

/// A key with its type, default, unit and example, and what it does.
fn block(key: &Key, language: ReferenceLanguage) -> String {
    let mut block = format!("\n### `{}`\n\n", key.name);
    let text = paragraph(language.choose(key.text, key.zh), language);
    let _ = writeln!(block, "{text}\n");
    let line = |block: &mut String, english, chinese, value: &str| {
        let mark = language.choose(": ", "：");
        let _ = writeln!(block, "- {}{mark}{value}", language.choose(english, chinese));
    };
    line(&mut block, "Type", "类型", &shown(&key.kind, language));
    let preset = match key.preset {
        Preset::Required => language.choose("none, the key is required", "无，必填").to_owned(),
        Preset::Is(value) => format!("`{}`", one_line(value)),
        Preset::Told(text, zh) => language.choose(text, zh).to_owned(),
    };
    line(&mut block, "Default", "默认值", &preset);
    if let Some([unit, zh]) = key.unit {
        line(&mut block, "Unit", "单位", language.choose(unit, zh));
    }
    if !key.example.is_empty() {
        let example = format!("`{} = {}`", key.name, one_line(key.example));
        line(&mut block, "Example", "示例", &example);
    }
    block
}

/// A type in words.
fn shown(kind: &Kind, language: ReferenceLanguage) -> String {
    let told = |english: &str, chinese: &str| language.choose(english, chinese).to_owned();
    let or = language.choose(" or ", " 或 ");
    let links = |sections: &[&Section]| -> String {
        let title = |section: &Section| language.choose(section.heading, section.heading_zh);
        let links: Vec<String> = sections.iter().map(|of| link(title(of), of)).collect();
        links.join(or)
    };
    match kind {
        Kind::Flag => told("`true` or `false`", "`true` 或 `false`"),
        Kind::Only(value) => format!("`{value}`"),
        Kind::Text => told("text", "文本"),
        Kind::Shaped(shape) => told(shape.text, shape.zh),
        Kind::Path => told("path", "路径"),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            let mark = language.choose(", ", "、");
            told("one of ", "以下之一：") + &words.join(mark)
        }
        Kind::Whole(least, most) if *most >= i64::MAX as u64 => match language {
            English => format!("whole number, {least} or more"),
            Chinese => format!("整数，不小于 {least}"),
        },
        Kind::Whole(least, most) => match language {
            English => format!("whole number from {least} to {most}"),
            Chinese => format!("整数，{least} 到 {most}"),
        },
        Kind::Positive => told("number above 0", "大于 0 的数"),
        Kind::NotNegative => told("number, 0 or more", "不小于 0 的数"),
        Kind::Percent => told("number from 0 to 100", "0 到 100 的数"),
        Kind::Duration(least, most) => match language {
            English => format!("duration from {least} to {most}"),
            Chinese => format!("时长，{least} 到 {most}"),
        },
        Kind::LocalTime => told("local time", "当地时间"),
        Kind::Either(kinds) => {
            kinds.iter().map(|kind| shown(kind, language)).collect::<Vec<_>>().join(or)
        }
        Kind::List(of) => match language {
            English => format!("list, each: {}", shown(of, language)),
            Chinese => format!("列表，每项：{}", shown(of, language)),
        },
        Kind::Map(of) => match language {
            English => format!("table of names of your choice, each: {}", shown(of, language)),
            Chinese => format!("名称自定的表，每项：{}", shown(of, language)),
        },
        Kind::Table(section) => told("table, see ", "表，见 ") + &links(&[section]),
        Kind::Tables(sections) => told("list of tables, see ", "表的列表，见 ") + &links(sections),
        Kind::Named(sections) => {
            told("a table for each name, see ", "每个名称一个表，见 ") + &links(sections)
        }
    }
}

/// What keys say of each other, in words.
fn said(rule: &Rule, language: ReferenceLanguage) -> String {
    let mark = language.choose(", ", "、");
    let listed = |keys: &[&Key], mark: &str| -> String {
        keys.iter().map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(mark)
    };
    let with = |sets: &[&[&Key]]| -> String {
        let and = language.choose(" with ", " 加 ");
        sets.iter().map(|set| listed(set, and)).collect::<Vec<_>>().join(mark)
    };
    let words = |words: &[&str]| -> String {
        words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(mark)
    };
    match (rule, language) {
        (Rule::OneOf(sets), English) => format!("Exactly one is needed: {}.", with(sets)),
        (Rule::OneOf(sets), Chinese) => format!("须有且只有其一：{}。", with(sets)),
        (Rule::Apart(keys, others), English) => {
            format!("Do not combine {} with {}.", listed(keys, mark), listed(others, mark))
        }
        (Rule::Apart(keys, others), Chinese) => {
            format!("不能同时使用 {} 与 {}。", listed(keys, mark), listed(others, mark))
        }
        (Rule::AnyOf(keys), English) => format!("At least one is needed: {}.", listed(keys, mark)),
        (Rule::AnyOf(keys), Chinese) => format!("至少须有其一：{}。", listed(keys, mark)),
        (Rule::Together(keys), English) => {
            format!("These go together, all or none: {}.", listed(keys, mark))
        }
        (Rule::Together(keys), Chinese) => {
            format!("须同时出现或都不出现：{}。", listed(keys, mark))
        }
        (Rule::OnlyWhere(key, of, keys), English) => {
            format!("Only where `{}` is {}: {}.", key.name, words(of), listed(keys, mark))
        }
        (Rule::OnlyWhere(key, of, keys), Chinese) => {
            format!("仅当 `{}` 为 {} 时可用：{}。", key.name, words(of), listed(keys, mark))
        }
        (Rule::NeededWhere(key, of, keys), English) => {
            format!("Required where `{}` is {}: {}.", key.name, words(of), listed(keys, mark))
        }
        (Rule::NeededWhere(key, of, keys), Chinese) => {
            format!("当 `{}` 为 {} 时必填：{}。", key.name, words(of), listed(keys, mark))
        }
    }
}
