//! What each kind is sent, word for word, and what its answers mean.

use std::collections::BTreeSet;

use serde_json::json;

use config::{Field, Message};

use super::*;

/// 2026-03-02T00:00:00Z.
const NOW: Timestamp = Timestamp(1_772_409_600);

/// The grammar of every receiver, letters that turn about and letters that are not seen.
const NASTY: &str = "<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all \u{202e}gpj.exe 🔥 \
                     مثال\n# h";

fn channel(kind: ChannelKind) -> AlertChannel {
    AlertChannel {
        name: "ops".to_owned(),
        kind,
        min_severity: Severity::Info,
        url: None,
        bearer: None,
        secret: None,
        language: AlertLanguage::English,
        message: Message::default(),
        link: None,
        rate: None,
        quiet_hours: None,
        digest: None,
    }
}

fn alert(n: usize, severity: Severity) -> Alert {
    Alert {
        key: format!("idle/dev/marked/aws/eu-west-1/i-{n}"),
        severity,
        at: NOW,
        title: format!("`build-{n}` will be stopped"),
        lines: vec!["cpu at most 1.2%".to_owned(), "saves 12 USD a month".to_owned()],
        subject: Some(format!("aws/eu-west-1/i-{n}")),
        owner: Some("team-a".to_owned()),
    }
}

fn nasty() -> Alert {
    let name = Some(NASTY.to_owned());
    let (title, lines) = (NASTY.to_owned(), vec![NASTY.to_owned()]);
    Alert { title, lines, subject: name.clone(), owner: name, ..alert(1, Severity::Critical) }
}

fn made(channel: &AlertChannel, key: Option<&str>, alerts: &[Alert]) -> Request {
    let letters = alerts.iter().enumerate();
    let letters: Vec<Letter<'_>> =
        letters.map(|(n, alert)| Letter::of(format!("r-{n}-ops"), alert)).collect();
    request(channel, &Secrets { salt: b"salt", key }, &letters, NOW).unwrap()
}

/// A condition that begins and one that is over, as each kind is told of them in each language.
#[test]
fn conditions_are_told_by_every_kind_in_both_languages() {
    use fleet::alert::{BEGUN, OVER};
    let about = "group-short/aws/123456789012";
    let begun = |title: &str, lines: &[&str]| Alert {
        key: format!("{BEGUN}{about}"),
        severity: Severity::Warning,
        at: NOW,
        title: title.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        subject: Some("web".to_owned()),
        owner: None,
    };
    let over = |title: &str| Alert { key: format!("{OVER}{about}"), ..begun(title, &[]) };
    let english = [
        begun("web: fewer units are in service than ordered", &["5 of 20 units"]),
        over("recovered after 34m: web: what was ordered is in service"),
    ];
    let chinese = [
        begun("web：在役台数少于已下达的容量", &["仍只有 5 台在役"]),
        over("持续 34m 后已恢复：web：已下达的容量全部在役"),
    ];
    let mut told = String::new();
    for kind in [
        ChannelKind::Webhook,
        ChannelKind::Slack,
        ChannelKind::Dingtalk,
        ChannelKind::Feishu,
        ChannelKind::Wecom,
        ChannelKind::Pagerduty,
        ChannelKind::Alertmanager,
    ] {
        for (language, alerts) in
            [(AlertLanguage::English, &english), (AlertLanguage::Chinese, &chinese)]
        {
            let link = Some("https://wiki.example.com/".to_owned());
            let channel = AlertChannel { language, link, ..channel(kind) };
            for alert in alerts {
                let alone = made(&channel, Some("key"), std::slice::from_ref(alert));
                told.push_str(&format!("{kind} {language:?}\n{}\n", seen(&alone.body)));
            }
            // Together as far as a kind tells several.
            let both = made(&channel, Some("key"), alerts);
            told.push_str(&format!("{kind} {language:?}, both\n{}\n\n", seen(&both.body)));
        }
    }
    insta::assert_snapshot!(told);
}

fn json_of(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

fn pretty(request: &Request) -> String {
    seen(&serde_json::to_string_pretty(&json_of(request)).unwrap())
}

/// Shows where direction is kept from what stands around.
fn seen(text: &str) -> String {
    text.replace('\u{2068}', "⟦").replace('\u{2069}', "⟧")
}

/// Every text that stands in a body.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|value| texts(value, found)),
        Value::Object(all) => all.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

const KINDS: [ChannelKind; 6] = [
    ChannelKind::Slack,
    ChannelKind::Dingtalk,
    ChannelKind::Feishu,
    ChannelKind::Wecom,
    ChannelKind::Pagerduty,
    ChannelKind::Alertmanager,
];

/// Recomputed with OpenSSL.
#[test]
fn dingtalk_signs_as_its_maker_does() {
    let long = format!("SEC{}", "0123456789abcdef".repeat(4));
    assert_eq!(
        dingtalk::sign(1_577_808_000_000, "SECtest"),
        "XHi7WpB+bLwQq5Rz0PrkJ6p9pXsd593WTWgii6qJ3uw="
    );
    assert_eq!(
        dingtalk::query(Timestamp(1_577_808_000), "SECtest"),
        "timestamp=1577808000000&sign=XHi7WpB%2BbLwQq5Rz0PrkJ6p9pXsd593WTWgii6qJ3uw%3D"
    );
    assert_eq!(
        dingtalk::query(Timestamp(1_700_000_000), &long),
        "timestamp=1700000000000&sign=bTgY2yDbep%2BwesS7jKiNj%2BsrsHoADES4%2BC4f8LCHFtU%3D"
    );
    assert_eq!(
        dingtalk::sign(1_700_000_000_001, "this is secret"),
        "aOZ0Y/R7BCg4xs87AcG5MYf26YmwfVRTLD0z3X+p/mM="
    );
}

/// Recomputed with OpenSSL.
#[test]
fn feishu_signs_as_its_maker_does() {
    for (seconds, secret, sign) in [
        (1_599_360_473, "demo", "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="),
        (1_700_000_000, "feishu-secret-0001", "H3/n0jBoEvvovojanoKY4WdPXn2bsEdk64I5HmaRdKc="),
        (100, "demo", "jquNHnVOwmDRfw+vqTIrY5dooJAgi5EcRtLsQE4wfXg="),
    ] {
        assert_eq!(feishu::sign(seconds, secret), sign, "{seconds}");
    }
}

#[test]
fn slack_is_told_in_blocks() {
    let linked = Some("https://wiki.example.com/neap/".to_owned());
    let slack = AlertChannel { link: linked, ..channel(ChannelKind::Slack) };
    insta::assert_snapshot!(pretty(&made(&slack, None, &[alert(1, Severity::Warning)])), @r#"
    {
      "blocks": [
        {
          "text": {
            "emoji": false,
            "text": "neap: warning: `build-1` will be stopped",
            "type": "plain_text"
          },
          "type": "header"
        },
        {
          "text": {
            "emoji": false,
            "text": "cpu at most 1.2%\nsaves 12 USD a month\n2026-03-02T00:00:00Z · aws/eu-west-1/i-1 · team-a",
            "type": "plain_text"
          },
          "type": "section"
        },
        {
          "text": {
            "text": "<https://wiki.example.com/neap/aws%2Feu%2Dwest%2D1%2Fi%2D1|Open>",
            "type": "mrkdwn",
            "verbatim": true
          },
          "type": "section"
        }
      ],
      "mrkdwn": false,
      "text": "neap: warning: `build-1` will be stopped",
      "unfurl_links": false,
      "unfurl_media": false
    }
    "#);
    let few = [alert(2, Severity::Info), nasty()];
    insta::assert_snapshot!(pretty(&made(&slack, None, &few)), @r#"
    {
      "blocks": [
        {
          "text": {
            "emoji": false,
            "text": "neap: 2 alerts, 1 critical",
            "type": "plain_text"
          },
          "type": "header"
        },
        {
          "text": {
            "emoji": false,
            "text": "info: `build-2` will be stopped\ncpu at most 1.2%\nsaves 12 USD a month\n2026-03-02T00:00:00Z · aws/eu-west-1/i-2 · team-a",
            "type": "plain_text"
          },
          "type": "section"
        },
        {
          "text": {
            "emoji": false,
            "text": "critical: ⟦<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all gpj.exe 🔥 مثال # h⟧\n⟦<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all gpj.exe 🔥 مثال # h⟧\n2026-03-02T00:00:00Z · ⟦<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all gpj.exe 🔥 مثال # h⟧ · ⟦<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all gpj.exe 🔥 مثال # h⟧",
            "type": "plain_text"
          },
          "type": "section"
        },
        {
          "text": {
            "text": "<https://wiki.example.com/neap/|Open>",
            "type": "mrkdwn",
            "verbatim": true
          },
          "type": "section"
        }
      ],
      "mrkdwn": false,
      "text": "neap: 2 alerts, 1 critical",
      "unfurl_links": false,
      "unfurl_media": false
    }
    "#);
}

#[test]
fn dingtalk_is_told_in_markdown_or_by_a_card() {
    let dingtalk = channel(ChannelKind::Dingtalk);
    let one = made(&dingtalk, Some("SECtest"), &[alert(1, Severity::Warning)]);
    assert!(one.query.as_deref().unwrap().starts_with("timestamp=1772409600000&sign="));
    insta::assert_snapshot!(pretty(&one), @r####"
    {
      "markdown": {
        "text": "### neap: warning: ˋbuild-1ˋ will be stopped\n\n> cpu at most 1.2%\n\n> saves 12 USD a month\n\n> 2026-03-02T00:00:00Z · aws/eu-west-1/i-1 · team-a",
        "title": "neap: warning: ˋbuild-1ˋ will be stopped"
      },
      "msgtype": "markdown"
    }
    "####);
    let linked = Some("https://wiki.example.com/?of=".to_owned());
    let card = AlertChannel { link: linked, ..dingtalk };
    insta::assert_snapshot!(pretty(&made(&card, None, &[alert(1, Severity::Info)])), @r####"
    {
      "actionCard": {
        "singleTitle": "Open",
        "singleURL": "https://wiki.example.com/?of=aws%2Feu%2Dwest%2D1%2Fi%2D1",
        "text": "### neap: info: ˋbuild-1ˋ will be stopped\n\n> cpu at most 1.2%\n\n> saves 12 USD a month\n\n> 2026-03-02T00:00:00Z · aws/eu-west-1/i-1 · team-a",
        "title": "neap: info: ˋbuild-1ˋ will be stopped"
      },
      "msgtype": "actionCard"
    }
    "####);
    let few = [alert(2, Severity::Info), nasty()];
    let few = made(&card, None, &few);
    assert_eq!(few.query, None);
    insta::assert_snapshot!(pretty(&few), @r####"
    {
      "actionCard": {
        "singleTitle": "Open",
        "singleURL": "https://wiki.example.com/?of=",
        "text": "### neap: 2 alerts, 1 critical\n\n**info: ˋbuild-2ˋ will be stopped**\n\n> cpu at most 1.2%\n\n> saves 12 USD a month\n\n> 2026-03-02T00:00:00Z · aws/eu-west-1/i-2 · team-a\n\n**critical: ⟦＜!channel＞ ∗b∗ ＿i＿ ˋcˋ ［x］(https://evil.example) & ＜b＞h＜/b＞ ＠all gpj.exe 🔥 مثال ＃ h⟧**\n\n> ⟦＜!channel＞ ∗b∗ ＿i＿ ˋcˋ ［x］(https://evil.example) & ＜b＞h＜/b＞ ＠all gpj.exe 🔥 مثال ＃ h⟧\n\n> 2026-03-02T00:00:00Z · ⟦＜!channel＞ ∗b∗ ＿i＿ ˋcˋ ［x］(https://evil.example) & ＜b＞h＜/b＞ ＠all gpj.exe 🔥 مثال ＃ h⟧ · ⟦＜!channel＞ ∗b∗ ＿i＿ ˋcˋ ［x］(https://evil.example) & ＜b＞h＜/b＞ ＠all gpj.exe 🔥 مثال ＃ h⟧",
        "title": "neap: 2 alerts, 1 critical"
      },
      "msgtype": "actionCard"
    }
    "####);
}

#[test]
fn feishu_is_told_by_a_signed_card() {
    let linked = Some("https://wiki.example.com/neap".to_owned());
    let feishu = AlertChannel { link: linked, ..channel(ChannelKind::Feishu) };
    let one = made(&feishu, Some("demo"), &[alert(1, Severity::Warning)]);
    insta::assert_snapshot!(pretty(&one), @r#"
    {
      "card": {
        "config": {
          "wide_screen_mode": true
        },
        "elements": [
          {
            "tag": "div",
            "text": {
              "content": "cpu at most 1.2%\nsaves 12 USD a month",
              "tag": "plain_text"
            }
          },
          {
            "elements": [
              {
                "content": "2026-03-02T00:00:00Z · aws/eu-west-1/i-1 · team-a",
                "tag": "plain_text"
              }
            ],
            "tag": "note"
          },
          {
            "actions": [
              {
                "tag": "button",
                "text": {
                  "content": "Open",
                  "tag": "plain_text"
                },
                "type": "default",
                "url": "https://wiki.example.com/neap"
              }
            ],
            "tag": "action"
          }
        ],
        "header": {
          "template": "orange",
          "title": {
            "content": "neap: warning: `build-1` will be stopped",
            "tag": "plain_text"
          }
        }
      },
      "msg_type": "interactive",
      "sign": "06K11K0n8ll+7cDouocdqmbjKTuSwzr0BMSiLgYJ8OY=",
      "timestamp": "1772409600"
    }
    "#);
    let few = [alert(2, Severity::Info), nasty()];
    insta::assert_snapshot!(pretty(&made(&feishu, None, &few)), @r#"
    {
      "card": {
        "config": {
          "wide_screen_mode": true
        },
        "elements": [
          {
            "tag": "div",
            "text": {
              "content": "info: `build-2` will be stopped\ncpu at most 1.2%\nsaves 12 USD a month",
              "tag": "plain_text"
            }
          },
          {
            "elements": [
              {
                "content": "2026-03-02T00:00:00Z · aws/eu-west-1/i-2 · team-a",
                "tag": "plain_text"
              }
            ],
            "tag": "note"
          },
          {
            "tag": "div",
            "text": {
              "content": "critical: ⟦<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all gpj.exe 🔥 مثال # h⟧\n⟦<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all gpj.exe 🔥 مثال # h⟧",
              "tag": "plain_text"
            }
          },
          {
            "elements": [
              {
                "content": "2026-03-02T00:00:00Z · ⟦<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all gpj.exe 🔥 مثال # h⟧ · ⟦<!channel> *b* _i_ `c` [x](https://evil.example) & <b>h</b> @all gpj.exe 🔥 مثال # h⟧",
                "tag": "plain_text"
              }
            ],
            "tag": "note"
          },
          {
            "actions": [
              {
                "tag": "button",
                "text": {
                  "content": "Open",
                  "tag": "plain_text"
                },
                "type": "default",
                "url": "https://wiki.example.com/neap"
              }
            ],
            "tag": "action"
          }
        ],
        "header": {
          "template": "red",
          "title": {
            "content": "neap: 2 alerts, 1 critical",
            "tag": "plain_text"
          }
        }
      },
      "msg_type": "interactive"
    }
    "#);
}

#[test]
fn wecom_is_told_in_markdown() {
    let wecom = channel(ChannelKind::Wecom);
    let content = |request: Request| {
        let body = json_of(&request);
        assert_eq!(body["msgtype"], "markdown");
        seen(body["markdown"]["content"].as_str().unwrap())
    };
    insta::assert_snapshot!(content(made(&wecom, None, &[alert(1, Severity::Warning)])), @r#"
    **<font color="warning">neap: warning: ˋbuild-1ˋ will be stopped</font>**
    > cpu at most 1.2%
    > saves 12 USD a month
    > 2026-03-02T00:00:00Z · aws/eu-west-1/i-1 · team-a
    "#);
    let few = [alert(2, Severity::Info), nasty()];
    insta::assert_snapshot!(content(made(&wecom, None, &few)), @r#"
    **<font color="warning">neap: 2 alerts, 1 critical</font>**

    **info: ˋbuild-2ˋ will be stopped**
    > cpu at most 1.2%
    > saves 12 USD a month
    > 2026-03-02T00:00:00Z · aws/eu-west-1/i-2 · team-a

    **critical: ⟦＜!channel＞ ∗b∗ ＿i＿ ˋcˋ ［x］(https://evil.example) & ＜b＞h＜/b＞ ＠all gpj.exe 🔥 مثال ＃ h⟧**
    > ⟦＜!channel＞ ∗b∗ ＿i＿ ˋcˋ ［x］(https://evil.example) & ＜b＞h＜/b＞ ＠all gpj.exe 🔥 مثال ＃ h⟧
    > 2026-03-02T00:00:00Z · ⟦＜!channel＞ ∗b∗ ＿i＿ ˋcˋ ［x］(https://evil.example) & ＜b＞h＜/b＞ ＠all gpj.exe 🔥 مثال ＃ h⟧ · ⟦＜!channel＞ ∗b∗ ＿i＿ ˋcˋ ［x］(https://evil.example) & ＜b＞h＜/b＞ ＠all gpj.exe 🔥 مثال ＃ h⟧
    "#);
}

#[test]
fn pagerduty_is_told_what_begins_and_what_is_over() {
    let linked = Some("https://wiki.example.com/neap/".to_owned());
    let pagerduty = AlertChannel { link: linked, ..channel(ChannelKind::Pagerduty) };
    let begun = made(&pagerduty, Some("R0UT1NG"), &[alert(1, Severity::Critical)]);
    insta::assert_snapshot!(pretty(&begun), @r#"
    {
      "client": "neap",
      "client_url": "https://wiki.example.com/neap/",
      "dedup_key": "idle/dev/marked/aws/eu-west-1/i-1",
      "event_action": "trigger",
      "links": [
        {
          "href": "https://wiki.example.com/neap/aws%2Feu%2Dwest%2D1%2Fi%2D1",
          "text": "Open"
        }
      ],
      "payload": {
        "custom_details": {
          "id": "r-0-ops",
          "key": "idle/dev/marked/aws/eu-west-1/i-1",
          "lines": [
            "cpu at most 1.2%",
            "saves 12 USD a month"
          ],
          "owner": "team-a"
        },
        "severity": "critical",
        "source": "aws/eu-west-1/i-1",
        "summary": "`build-1` will be stopped",
        "timestamp": "2026-03-02T00:00:00Z"
      },
      "routing_key": "R0UT1NG"
    }
    "#);
    let key = "idle/dev/unmarked/aws/eu-west-1/i-1".to_owned();
    let over = made(&pagerduty, Some("R0UT1NG"), &[Alert { key, ..alert(1, Severity::Info) }]);
    insta::assert_snapshot!(over.body, @r#"{"dedup_key":"idle/dev/marked/aws/eu-west-1/i-1","event_action":"resolve","routing_key":"R0UT1NG"}"#);
}

#[test]
fn alertmanager_is_told_by_labels() {
    let alertmanager = channel(ChannelKind::Alertmanager);
    let off = "idle/dev/unmarked/aws/eu-west-1/i-2".to_owned();
    let three = [
        alert(1, Severity::Critical),
        alert(2, Severity::Info),
        Alert { key: off, lines: Vec::new(), ..alert(2, Severity::Info) },
    ];
    let request = made(&alertmanager, None, &three);
    assert_eq!(request.told, [0, 1, 2]);
    insta::assert_snapshot!(pretty(&request), @r#"
    [
      {
        "annotations": {
          "description": "cpu at most 1.2%\nsaves 12 USD a month",
          "neap_id": "r-0-ops",
          "summary": "`build-1` will be stopped"
        },
        "endsAt": "2026-03-03T00:00:00Z",
        "labels": {
          "alertname": "neap",
          "neap_key": "idle/dev/marked/aws/eu-west-1/i-1",
          "owner": "team-a",
          "severity": "critical",
          "subject": "aws/eu-west-1/i-1"
        },
        "startsAt": "2026-03-02T00:00:00Z"
      },
      {
        "annotations": {
          "neap_id": "r-2-ops",
          "summary": "`build-2` will be stopped"
        },
        "endsAt": "2026-03-02T00:00:00Z",
        "labels": {
          "alertname": "neap",
          "neap_key": "idle/dev/marked/aws/eu-west-1/i-2",
          "owner": "team-a",
          "severity": "info",
          "subject": "aws/eu-west-1/i-2"
        },
        "startsAt": "2026-03-02T00:00:00Z"
      }
    ]
    "#);
}

#[test]
fn only_what_may_leave_leaves_by_any_kind() {
    for kind in KINDS {
        let fields: BTreeSet<Field> = [Field::Title].into();
        let message = Message { fields, ..Message::default() };
        let little = AlertChannel { message, ..channel(kind) };
        let request = made(&little, None, &[alert(1, Severity::Critical)]);
        for word in ["i-1", "eu-west-1", "team-a", "critical", "2026-03-02T", "saves", "idle/"] {
            // Alertmanager needs times: without `at` they are those of sending.
            let is_time = kind == ChannelKind::Alertmanager && word.starts_with("2026");
            assert!(is_time || !request.body.contains(word), "{kind}: {word} in {}", request.body);
        }
        assert!(request.body.contains("will be stopped"), "{kind}");
        let hash = [Field::Subject, Field::Owner].into();
        let message = Message { hash, ..Message::default() };
        let hashed = AlertChannel { message, ..channel(kind) };
        let request = made(&hashed, None, &[alert(1, Severity::Critical)]);
        assert!(!request.body.contains("eu-west-1/i-1"), "{kind}: {}", request.body);
        assert!(!request.body.contains("team-a"), "{kind}: {}", request.body);
        assert!(request.body.contains("sha256:"), "{kind}: {}", request.body);
        // Nothing at all may leave: still a message, and of the right form.
        let message = Message { fields: BTreeSet::new(), ..Message::default() };
        let nothing = AlertChannel { message, ..channel(kind) };
        assert!(made(&nothing, None, &[alert(1, Severity::Critical)]).body.contains("neap"));
    }
}

#[test]
fn no_name_means_anything_or_turns_anything_about() {
    for kind in KINDS {
        let body = json_of(&made(&channel(kind), Some("k"), &[nasty(), alert(2, Severity::Info)]));
        let mut found = Vec::new();
        texts(&body, &mut found);
        let nowhere: &[&str] = match kind {
            ChannelKind::Dingtalk | ChannelKind::Wecom => {
                &["<!", "<b>", "*b*", "[x]", "](", "`", "@all", "_i_", "\n# h"]
            }
            _ => &["\n# h"],
        };
        for text in found {
            let is_turned = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{200e}');
            assert!(!text.contains(is_turned), "{kind}: {text:?}");
            // What is isolated ends again.
            let count = |c: char| text.matches(c).count();
            assert_eq!(count('\u{2068}'), count('\u{2069}'), "{kind}: {text:?}");
            for word in nowhere {
                assert!(!text.contains(word), "{kind}: {word:?} in {text:?}");
            }
        }
    }
    // Slack reads names as plain text alone, and the rest is escaped.
    let body = json_of(&made(&channel(ChannelKind::Slack), None, &[nasty()]));
    assert!(!body["text"].as_str().unwrap().contains(['<', '>']));
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.iter().all(|block| block["text"]["type"] == "plain_text"), "{body}");
}

/// As long as can be, in letters that take most room, of many alerts.
fn endless(n: usize, letter: &str) -> Alert {
    let text = letter.repeat(1500);
    Alert {
        key: format!("idle/{}/marked/{n}{text}", letter.repeat(300)),
        title: text.clone(),
        lines: vec![text.clone(); 60],
        subject: Some(format!("{n}{text}")),
        owner: Some(text),
        ..alert(n, Severity::Critical)
    }
}

#[test]
fn no_limit_of_a_receiver_is_passed() {
    let link = format!("https://wiki.example.com/{}/", "a".repeat(470));
    for kind in KINDS {
        for letter in ["a", "\"", "\\", "&", "*", "日", "👩", "مثال"] {
            for count in [1, 2, 3, 4, 70] {
                let alerts: Vec<Alert> = (0..count).map(|n| endless(n, letter)).collect();
                let channel = AlertChannel { link: Some(link.clone()), ..channel(kind) };
                let request = made(&channel, Some("k"), &alerts);
                let of = format!("{kind} {letter} {count}");
                assert!(!request.told.is_empty() && request.told[0] == 0, "{of}");
                limits(kind, &request, &of);
            }
        }
    }
}

fn limits(kind: ChannelKind, request: &Request, of: &str) {
    let body = json_of(request);
    let length = |value: &Value| value.as_str().map_or(0, |text| text.encode_utf16().count());
    match kind {
        ChannelKind::Slack => {
            let blocks = body["blocks"].as_array().unwrap();
            assert!((1..=50).contains(&blocks.len()), "{of}: {}", blocks.len());
            for block in blocks {
                let most = if block["type"] == "header" { 150 } else { 3000 };
                let length = length(&block["text"]["text"]);
                assert!((1..=most).contains(&length), "{of}: {length}");
            }
            assert!(length(&body["text"]) <= 4000, "{of}");
        }
        ChannelKind::Dingtalk | ChannelKind::Feishu => {
            assert!(request.body.len() <= 20_000, "{of}: {}", request.body.len());
        }
        ChannelKind::Wecom => {
            let content = body["markdown"]["content"].as_str().unwrap();
            assert!((1..=4096).contains(&content.len()), "{of}: {}", content.len());
        }
        ChannelKind::Pagerduty => {
            assert!((1..=1024).contains(&length(&body["payload"]["summary"])), "{of}");
            assert!((1..=255).contains(&length(&body["dedup_key"])), "{of}");
            assert!(request.body.len() <= 512 << 10, "{of}: {}", request.body.len());
        }
        ChannelKind::Alertmanager => {
            let alerts = body.as_array().unwrap();
            assert!((1..=64).contains(&alerts.len()), "{of}");
            for label in alerts.iter().flat_map(|alert| alert["labels"].as_object().unwrap()) {
                assert!((1..=256).contains(&label.1.as_str().unwrap().len()), "{of}: {label:?}");
            }
            assert!(request.body.len() <= 1 << 20, "{of}: {}", request.body.len());
        }
        ChannelKind::Webhook => {}
    }
}

#[test]
fn a_chat_is_told_many_in_one_message_and_each_once() {
    let many: Vec<Alert> = (0..30).map(|n| alert(n, Severity::Info)).collect();
    for kind in [ChannelKind::Slack, ChannelKind::Dingtalk, ChannelKind::Feishu] {
        let request = made(&channel(kind), None, &many);
        assert_eq!(request.told, (0..30).collect::<Vec<_>>(), "{kind}");
        assert!(request.body.contains("neap: 30 alerts"), "{kind}");
        assert!(!request.body.contains("saves 12 USD"), "{kind}");
    }
    let more: Vec<Alert> = (0..90).map(|n| alert(n, Severity::Info)).collect();
    let wecom = made(&channel(ChannelKind::Wecom), None, &more).told.len();
    assert!((30..90).contains(&wecom), "{wecom}");
    // The same thrice is told once, as it was last.
    let mut same = vec![alert(1, Severity::Info), alert(2, Severity::Info)];
    same.push(Alert { title: "`build-1` is late".to_owned(), ..alert(1, Severity::Warning) });
    let request = made(&channel(ChannelKind::Dingtalk), None, &same);
    assert_eq!(request.told, [0, 2, 1]);
    assert!(request.body.contains("warning: ˋbuild-1ˋ is late (2 times)"), "{}", request.body);
    assert!(!request.body.contains("ˋbuild-1ˋ will be stopped"), "{}", request.body);
    assert_eq!(made(&channel(ChannelKind::Pagerduty), Some("k"), &many).told, [0]);
}

#[test]
fn an_answer_is_known_by_its_code() {
    let told = |kind: ChannelKind, status: u16, body: Value| {
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        match answer(kind, status, Some(Duration::from_secs(7)), &text) {
            Receipt::Taken { status } => format!("{kind} {status} taken"),
            Receipt::Refused { why, .. } => format!("{kind} never, {why}"),
            Receipt::Later { why, rest, .. } => format!("{kind} later, {why}, {rest:?}"),
        }
    };
    use ChannelKind::{Alertmanager, Dingtalk, Feishu, Pagerduty, Slack, Wecom};
    let err = |code: i64, words: &str| json!({ "errcode": code, "errmsg": words });
    insta::assert_snapshot!([
        told(Slack, 200, json!("ok")),
        told(Slack, 200, json!("<html>a page</html>")),
        told(Slack, 200, json!("")),
        told(Slack, 204, json!("")),
        told(Slack, 202, json!("queued")),
        told(Slack, 200, json!({ "success": true })),
        told(Slack, 200, json!({ "result": "success", "msg": "" })),
        told(Slack, 200, json!("x".repeat(70_000))),
        told(Slack, 200, json!({ "success": false, "error": "no such room" })),
        told(Slack, 200, json!({ "result": "error", "msg": "no such stream" })),
        told(Slack, 200, json!("no_service")),
        told(Slack, 200, json!("rollup_error")),
        told(Slack, 400, json!("invalid_blocks")),
        told(Slack, 403, json!("something else")),
        told(Slack, 404, json!("no_service")),
        told(Slack, 429, json!("rate_limited")),
        told(Slack, 500, json!("rollup_error")),
        told(Dingtalk, 200, err(0, "ok")),
        told(Dingtalk, 200, err(-1, "system busy")),
        told(Dingtalk, 200, err(130_101, "send too fast")),
        told(Dingtalk, 200, err(90_030, "webhook over limit")),
        told(Dingtalk, 200, err(310_000, "sign not match, more: [https://ding-doc]")),
        told(Dingtalk, 200, err(310_000, "invalid timestamp")),
        told(Dingtalk, 200, err(310_000, "ip 1.2.3.4 not in whitelist")),
        told(Dingtalk, 200, err(310_000, "keywords not in content")),
        told(Dingtalk, 200, err(310_000, "description:机器人发送签名不匹配")),
        told(Dingtalk, 200, err(310_000, "description:关键词不匹配")),
        told(Dingtalk, 200, err(300_001, "token is not exist")),
        told(Dingtalk, 200, json!("<html>")),
        told(Dingtalk, 200, json!({ "errcode": "300001" })),
        told(Dingtalk, 200, json!({ "success": false })),
        told(Dingtalk, 204, json!("")),
        told(Dingtalk, 502, json!("<html>")),
        told(Feishu, 200, json!({ "code": 0, "msg": "success", "StatusCode": 0 })),
        told(Feishu, 200, json!({ "code": 19021, "msg": "sign match fail" })),
        told(Feishu, 400, json!({ "code": 9499, "msg": "Bad Request" })),
        told(Feishu, 200, json!({ "code": 11232, "msg": "frequency limited" })),
        told(Feishu, 200, json!({ "StatusCode": 0 })),
        told(Feishu, 200, json!({ "StatusCode": 9 })),
        told(Wecom, 200, err(0, "ok")),
        told(Wecom, 200, err(45_009, "api freq out of limit")),
        told(Wecom, 200, err(93_000, "invalid webhook url")),
        told(Wecom, 200, err(40_058, "markdown.content exceed max length")),
        told(Pagerduty, 202, json!({ "status": "success" })),
        told(Pagerduty, 400, json!({ "status": "invalid event" })),
        told(Pagerduty, 429, json!("")),
        told(Alertmanager, 200, json!("")),
        told(Alertmanager, 400, json!("bad label")),
    ].join("\n"), @r#"
    Slack 200 taken
    Slack 200 taken
    Slack 200 taken
    Slack 204 taken
    Slack 202 taken
    Slack 200 taken
    Slack 200 taken
    Slack 200 taken
    Slack later, it answers 200, and by `success` that it did not take it, None
    Slack later, it answers 200, and by `result` that it did not take it, None
    Slack never, it answers 200, `no_service`: the webhook is gone or switched off
    Slack later, it answers 200 with a word of its errors, Some(7s)
    Slack never, it answers 400, `invalid_blocks`: it does not take the blocks
    Slack never, it answers 403
    Slack never, it answers 404, `no_service`: the webhook is gone or switched off
    Slack later, it answers 429, Some(7s)
    Slack later, it answers 500, Some(7s)
    DingTalk 200 taken
    DingTalk later, it answers `errcode` -1: it is busy, None
    DingTalk later, it answers `errcode` 130101: it has had too many messages, Some(600s)
    DingTalk later, it answers `errcode` 90030: it has had too many messages, Some(600s)
    DingTalk later, it answers `errcode` 310000: the signature does not match, or the clock is off, None
    DingTalk later, it answers `errcode` 310000: the signature does not match, or the clock is off, None
    DingTalk later, it answers `errcode` 310000: its security settings keep us out, None
    DingTalk never, it answers `errcode` 310000: it asks for a word that is not in the message; `neap` is
    DingTalk later, it answers `errcode` 310000: the signature does not match, or the clock is off, None
    DingTalk never, it answers `errcode` 310000: it asks for a word that is not in the message; `neap` is
    DingTalk never, it answers `errcode` 300001: the token is not valid
    DingTalk 200 taken
    DingTalk never, it answers `errcode` 300001: the token is not valid
    DingTalk later, it answers 200, and by `success` that it did not take it, None
    DingTalk 204 taken
    DingTalk later, it answers 502, Some(7s)
    Feishu 200 taken
    Feishu later, it answers `code` 19021: the signature does not match, or the clock is off, None
    Feishu never, it answers `code` 9499: it does not take the message
    Feishu later, it answers `code` 11232: it has had too many messages, Some(60s)
    Feishu 200 taken
    Feishu later, it answers 200, and by `StatusCode` that it did not take it, None
    WeCom 200 taken
    WeCom later, it answers `errcode` 45009: it has had too many messages, Some(60s)
    WeCom never, it answers `errcode` 93000: the key is not valid
    WeCom never, it answers `errcode` 40058: it does not take the message
    PagerDuty 202 taken
    PagerDuty never, it answers 400
    PagerDuty later, it answers 429, Some(7s)
    Alertmanager 200 taken
    Alertmanager never, it answers 400
    "#);
}

fn digest() -> (Alert, Dispatch) {
    let lines = (0..LINES_MAX).map(|n| format!("{n}: i-{n} had {}", "9".repeat(90))).collect();
    let alert = Alert {
        key: "digest/daily/2026-03-01/ops".to_owned(),
        title: "daily digest of 2026-03-01: 12 orders, 3 to be approved".to_owned(),
        lines,
        subject: None,
        owner: None,
        ..alert(1, Severity::Info)
    };
    let names = vec!["aws/eu-west-1/i-3".to_owned()];
    (alert, Dispatch { channel: "ops".to_owned(), names, chart: None })
}

fn told(channel: &AlertChannel, (alert, digest): &(Alert, Dispatch)) -> Result<Request, BodyFault> {
    let letter = Letter { digest: Some(digest), ..Letter::of("r-1-ops".to_owned(), alert) };
    request(channel, &Secrets { salt: b"salt", key: Some("SECabc") }, &[letter], NOW)
}

#[test]
fn a_digest_is_told_in_full_by_every_kind_that_takes_one() {
    use ChannelKind::{Alertmanager, Dingtalk, Feishu, Pagerduty, Slack, Webhook, Wecom};
    for kind in [Slack, Dingtalk, Feishu, Wecom, Webhook] {
        let mut channel = channel(kind);
        channel.link = Some("https://neap.example.com/".to_owned());
        channel.message.hash = [Field::Subject].into();
        let request = told(&channel, &digest()).unwrap();
        for n in 0..LINES_MAX {
            let start = if n == 3 { "3: sha256:".to_owned() } else { format!("{n}: i-{n} had 99") };
            assert!(request.body.contains(&start), "{kind}: {n} in {}", request.body);
        }
        assert!(!request.body.contains("i-3 "), "{kind}");
        assert!(request.body.contains("daily digest of 2026-03-01: 12 orders"), "{kind}");
        assert!(kind == Webhook || request.body.contains("https://neap.example.com/"), "{kind}");
        assert_eq!(request.told, [0]);
    }
    for kind in [Pagerduty, Alertmanager] {
        let fault = told(&channel(kind), &digest()).unwrap_err();
        assert_eq!(fault.what, format!("{kind} takes no digest"));
    }
}

#[test]
fn a_chart_goes_to_wecom_alone_and_only_where_numbers_may_leave() {
    let (alert, words) = digest();
    let day = journal::records::ChartDay { day: 20_000, ..Default::default() };
    let chart = Some(Chart { days: vec![day] });
    let digest = (alert, Dispatch { chart, ..words });
    let body = json_of(&told(&channel(ChannelKind::Wecom), &digest).unwrap());
    assert_eq!(body["msgtype"], "image");
    let png = STANDARD.decode(body["image"]["base64"].as_str().unwrap()).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    assert_eq!(body["image"]["md5"].as_str().unwrap().len(), 32);
    let mut shy = channel(ChannelKind::Wecom);
    shy.message.fields = [Field::Title].into();
    assert_eq!(told(&shy, &digest).unwrap_err().what, "`ops` takes no chart");
    assert!(told(&channel(ChannelKind::Slack), &digest).is_err());
}

/// RFC 1321, A.5: what is sent beside the picture is what everybody else calls MD5.
#[test]
fn a_picture_has_its_md5_beside_it() {
    let body = wecom::image(b"message digest");
    assert_eq!(body["image"]["base64"], "bWVzc2FnZSBkaWdlc3Q=");
    assert_eq!(body["image"]["md5"], "f96b697d7cb7938d525a2f31aaf161d0");
}
