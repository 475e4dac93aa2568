//! The page in Chinese says in Chinese why everything is as it is: what stands there in English are
//! names, units, commands and what others wrote.

use std::collections::BTreeSet;

use tests::neap::Neap;
use tests::page::{APPROVE, Ask, LISTEN, LOOK_OFTEN, Reply, Served, until, world};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// Elements whose text is a record for machines or a command.
const AS_THEY_ARE: [&str; 3] = ["<pre tabindex=\"0\">", "<code>", "<datalist"];
/// After these words stands what others wrote: what alerts said as they went out, and what a cloud
/// says of somebody's change.
const WRITTEN_BY_OTHERS: [&str; 2] = ["告警：", "他人更改了"];

fn chinese(served: &Served, target: &str) -> Reply {
    let reply = served.ask(Ask::get(target).with("cookie", "neap_lang=zh"));
    assert_eq!(reply.status, 200, "{target}: {}", reply.body);
    assert!(reply.body.contains("<html lang=\"zh-CN\">"), "{target}");
    reply
}

/// What people read in the main part of a page, element by element.
fn read(body: &str) -> Vec<String> {
    let (_, main) = body.split_once("<main").expect("a main part");
    let mut main = main.replace("\\n", " ");
    for opening in AS_THEY_ARE {
        let name = opening.trim_matches(['<', '>']).split(' ').next().unwrap_or_default();
        let closing = format!("</{name}>");
        while let Some(from) = main.find(opening) {
            let end = main[from..].find(&closing).expect("an end") + from + closing.len();
            main.replace_range(from..end, "`");
        }
    }
    let texts = main.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
    let labels = main.split("label=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let plain = |text: &str| {
        let text = text.replace("&#x2f;", "/").replace("&quot;", "\"").replace("&#x27;", "'");
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    texts
        .chain(labels.filter(|value| value.contains(' ')))
        .flat_map(str::lines)
        .map(plain)
        .collect()
}

/// Two English words in a row that are no name, command or quotation.
fn english(text: &str) -> Option<String> {
    let ours = WRITTEN_BY_OTHERS.iter().filter_map(|word| text.find(word)).min();
    let unquoted: Vec<&str> = text[..ours.unwrap_or(text.len())].split('`').step_by(2).collect();
    let unquoted = unquoted.join("`");
    let mut run: Vec<&str> = Vec::new();
    // A sign of Chinese stands between words as a blank does, and between it and them is none.
    let parted: String = unquoted.chars().map(|c| if c.is_ascii() { c } else { ' ' }).collect();
    for word in parted.split(' ') {
        let word = word.trim_end_matches([',', ';', ':']);
        match word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic()) {
            true => run.push(word),
            false => run.clear(),
        }
        if run.len() > 1 {
            return Some(run.join(" "));
        }
    }
    None
}

#[test]
fn no_reason_on_the_chinese_page_is_in_english() {
    let mut config = world(400, 80, LOOK_OFTEN, &format!("[page]\n{LISTEN}\n{APPROVE}"));
    // Two of the services act, one is gated, one only observes.
    config =
        config.replacen("name = \"payments\"", "name = \"payments\"\npromotion = \"gated\"", 1);
    config = config.replacen("name = \"render\"", "name = \"render\"\nmode = \"observe\"", 1);
    assert!(config.contains("promotion = ") && config.contains("mode = \"observe\""));
    let served = Served::start(Neap::new(BINARY, &config));
    until("approvals to wait for", || {
        served.get("/idle?only=waits").body.contains("<code>").then_some(())
    });
    until("hours of decisions", || (served.cycles() > 60).then_some(()));

    let fleet = chinese(&served, "/");
    let mut pages: BTreeSet<String> = [
        "/",
        "/?only=look",
        "/review",
        "/what-if",
        "/what-if?service=checkout",
        "/what-if?service=checkout&max=none",
        "/idle",
        "/idle?only=all",
        "/idle?only=waits",
        "/journal?kind=cycles",
        "/journal?kind=orders",
        "/journal?kind=idle&since=2026-03-02T00:00",
        "/journal?kind=alerts&since=2026-03-02T00:00",
        "/journal?kind=policies&since=2026-03-02T00:00",
        "/journal?since=2026-03-02T00:00&until=2026-03-02T00:20",
        "/sign-in",
    ]
    .map(str::to_owned)
    .into();
    let services = fleet.links("/service/");
    assert!(services.len() >= 4, "{}", fleet.body);
    for service in services {
        let links = chinese(&served, &service).links("/decision/");
        assert!(!links.is_empty(), "{service}");
        pages.extend(links.into_iter().take(8));
        pages.insert(service);
    }
    let idle = chinese(&served, "/idle?only=all");
    let stories = idle.links("/idle/story?id=");
    assert!(stories.len() > 20, "{}", idle.body);
    pages.extend(stories);
    let journal = chinese(&served, "/journal?since=2026-03-02T00:00");
    pages.extend(journal.links("/journal/").into_iter().take(10));

    let mut said = BTreeSet::new();
    for page in &pages {
        let lines = read(&chinese(&served, page).body);
        for line in &lines {
            assert_eq!(english(line), None, "{page}: {line}");
        }
        said.extend(lines);
    }
    // It is worth it only where many kinds of things were said.
    let all = said.into_iter().collect::<Vec<_>>().join("\n");
    let words = [
        "期望容量 ",
        "最小容量 ",
        "预测 ",
        "分位）",
        "单台承载 ",
        "样本时延 ",
        "的时间容量不足",
        "已完成",
        "解除条件：",
        "影子",
        "尚未晋级",
        "需要 7d",
        "在用：",
        "数据不足：",
        "已标记，",
        "等待 ",
        "规则如此要求",
        "停机不省钱：包年包月",
        "仍需付费：",
        "个服务",
        "闲置：",
    ];
    let unsaid: Vec<&str> = words.into_iter().filter(|word| !all.contains(word)).collect();
    assert!(unsaid.is_empty(), "nothing says {unsaid:?}:\n{all}");
}

#[test]
fn english_words_are_seen() {
    assert_eq!(english("暂缓：the size is right").as_deref(), Some("the size"));
    assert_eq!(english("等待 `neap approve 12ab`：由 li.wei 要求，仅 USD/h"), None);
    let body = "<main id=\"main\"><p>wanted 3</p><pre tabindex=\"0\">any words of it</pre>\
                <td data-label=\"期望\">规模 &#x27;a&#x27;</td></main>";
    assert_eq!(read(body).iter().filter_map(|text| english(text)).count(), 0);
    let body = body.replace("规模", "held, for now");
    assert_eq!(read(&body).iter().filter_map(|text| english(text)).count(), 1);
}
