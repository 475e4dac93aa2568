//! The keys of alert channels.

use super::{Key, Kind, Preset, Rule, Section, Shape};
use super::{example, preset, sections};

sections! {
    /// A channel that alerts go out by. Changes take effect with the next cycle.
    zh "发送通知的渠道。修改在下一个周期生效。";
    alert "`[[alert]]`" at ["alert"]
    rules [
        Rule::NeededWhere(&KIND, &["alertmanager", "dingtalk", "feishu", "lark", "slack", "webhook", "wecom"], &[&URL_FILE]),
        Rule::NeededWhere(&KIND, &["pagerduty"], &[&ROUTING_KEY_FILE]),
        Rule::OnlyWhere(&KIND, &["alertmanager", "webhook"], &[&BEARER_FILE]),
        Rule::OnlyWhere(&KIND, &["dingtalk", "feishu", "lark"], &[&SECRET_FILE]),
        Rule::OnlyWhere(&KIND, &["pagerduty"], &[&ROUTING_KEY_FILE]),
        Rule::OnlyWhere(&KIND, &["webhook"], &[&TEMPLATE]),
        Rule::OnlyWhere(&KIND, &["alertmanager", "dingtalk", "feishu", "lark", "pagerduty", "slack", "wecom"], &[&LINK]),
        Rule::OnlyWhere(&KIND, &["dingtalk", "feishu", "lark", "slack", "webhook", "wecom"], &[&DIGEST])
    ]
    example "[[alert]]\nname = \"on-call\"\nkind = \"webhook\"\nurl_file = \"on-call.url\"\nmin_severity = \"warning\"\n"
    {
        /// Its name, unique in the file. The journal keeps what it has sent under it.
        zh "名称，文件内唯一。日志库以此名记录已发送的内容。";
        NAME "name": Kind::Shaped(Shape::PLAIN_NAME), [required], "on-call";
        /// What receives the alerts. `webhook` is anything that takes JSON by HTTP. `lark` is
        /// another name of `feishu`.
        zh "接收方类型。`webhook` 是任何接受 HTTP JSON 的服务。`lark` 是 `feishu` 的别名。";
        KIND "kind": Kind::Choice(&["alertmanager", "dingtalk", "feishu", "lark", "pagerduty", "slack", "webhook", "wecom"]), [required], "webhook";
        /// A file that holds the receiver's address, which is a secret for most kinds.
        zh "接收方地址所在文件；对多数类型而言地址是机密。";
        URL_FILE "url_file": Kind::Path, ["required, but for `pagerduty`, which has an address of its own", "必填；`pagerduty` 有自己的地址，可省略"], "on-call.url";
        /// A file that holds a token, sent as `Authorization: Bearer …`.
        zh "令牌所在文件，以 `Authorization: Bearer …` 发送。";
        BEARER_FILE "bearer_file": Kind::Path, ["none is sent", "不发送"], "on-call.token";
        /// A file that holds the secret that the robot checks signatures with.
        zh "机器人验签所用密钥所在文件。";
        SECRET_FILE "secret_file": Kind::Path, ["messages are not signed", "不签名"], "robot.secret";
        /// A file that holds the routing key of PagerDuty's Events API v2.
        zh "PagerDuty Events API v2 的 routing key 所在文件。";
        ROUTING_KEY_FILE "routing_key_file": Kind::Path, ["required for `pagerduty`", "`pagerduty` 必填"], "pagerduty.key";
        /// Less severe alerts are not sent. Marks and stops are `info`.
        zh "低于此级别的通知不发送。标记和停机属于 `info`。";
        MIN_SEVERITY "min_severity": Kind::Choice(&["info", "warning", "critical"]), [= "info"], "warning";
        /// The language that alerts about conditions are sent in. Marks, stops and digests are in
        /// English.
        zh "异常状况告警所用的语言。标记、停机和小结为英文。";
        LANGUAGE "language": Kind::Choice(&["en", "zh"]), [= "en"], "zh";
        /// The parts of an alert that may leave.
        zh "通知中允许外发的部分。";
        FIELDS "fields": Kind::List(&Kind::Choice(&["key", "severity", "at", "title", "lines", "subject", "owner"])), ["all parts", "全部"], ["severity", "at", "title"];
        /// The parts that leave as a short hash only, wherever they stand in the alert.
        zh "只以短哈希形式外发的部分，无论出现在通知何处。";
        HASH "hash": Kind::List(&Kind::Choice(&["subject", "owner"])), ["none", "没有"], ["owner"];
        /// A file whose content goes into the hashes, so that nobody outside can find names by
        /// trying.
        zh "该文件内容参与哈希计算，以免外人逐个尝试猜出名称。";
        SALT_FILE "salt_file": Kind::Path, ["no salt", "不加盐"], "salt";
        /// A template (MiniJinja) that makes the JSON of an alert.
        zh "生成通知 JSON 的模板（MiniJinja）。";
        TEMPLATE "template": Kind::Path, ["neap's own JSON", "neap 自己的 JSON"], "chat.json.j2";
        /// Where a message leads for more: your runbook, or the review page.
        zh "消息中的链接：运维手册或审阅页面。";
        LINK "link": Kind::Shaped(Shape::ADDRESS), ["no link", "没有链接"], "https://wiki.example.com/neap/";
        /// How many messages the channel takes. What waits goes out in one message. It must not
        /// exceed what the receiver itself takes.
        zh "渠道可接受的消息速率。等待中的内容会合并为一条消息。不得超过接收方自身的限制。";
        RATE "rate": Kind::Shaped(Shape::RATE), ["`1 per 1s` for Slack and Feishu, `18 per 1m` for DingTalk and WeCom, else no limit", "Slack 和飞书为 `1 per 1s`，钉钉和企业微信为 `18 per 1m`，其余不限"], "10 per 1m";
        /// Hours in which the channel is told only what cannot wait. The rest is sent afterwards.
        zh "只发送紧急通知的时段，其余在时段结束后发送。";
        QUIET_HOURS "quiet_hours": Kind::Table(&quiet_hours::SECTION), ["none", "没有"], _;
        /// A summary of what was done, every day or week.
        zh "每天或每周的小结。";
        DIGEST "digest": Kind::Table(&digest::SECTION), ["none", "没有"], _;
    }

    /// Hours in which a channel is not to be disturbed. They last at most 66 hours at a time,
    /// because an alert is given up after three days.
    zh "免打扰时段。一次最长 66 小时，因为通知在三天后作废。";
    quiet_hours "`quiet_hours`" at ["alert", "quiet_hours"]
    example "[[alert]]\nname = \"on-call\"\nkind = \"webhook\"\nurl_file = \"on-call.url\"\nquiet_hours = { timezone = \"Asia/Shanghai\", hours = \"22:00-08:00\" }\n"
    {
        /// The zone of its times.
        zh "时间所用的时区。";
        TIMEZONE "timezone": Kind::Shaped(Shape::ZONE), [required], "Asia/Shanghai";
        /// When it is quiet.
        zh "免打扰的时段。";
        HOURS "hours": Kind::Shaped(Shape::QUIET), [required], "22:00-08:00";
        /// Alerts at least this severe are sent all the same. `nothing` holds back all of them.
        zh "不低于此级别的通知照常发送。`nothing` 表示全部延后。";
        EXCEPT "except": Kind::Choice(&["critical", "warning", "nothing"]), [= "critical"], "warning";
    }

    /// A summary of what was done and what waits for somebody.
    zh "小结：做了什么，有什么在等人处理。";
    digest "`digest`" at ["alert", "digest"]
    rules [Rule::OnlyWhere(&EVERY, &["week"], &[&ON])]
    example "[[alert]]\nname = \"ops\"\nkind = \"slack\"\nurl_file = \"slack.url\"\ndigest = { every = \"week\", on = \"Mon\", at = \"09:00\", timezone = \"Europe/Berlin\" }\n"
    {
        /// How often.
        zh "多久一次。";
        EVERY "every": Kind::Choice(&["day", "week"]), [required], "week";
        /// The weekday of a weekly digest.
        zh "每周小结在星期几发送。";
        ON "on": Kind::Shaped(Shape::DAY), [= "Mon"], "Fri";
        /// The time of day.
        zh "发送时刻。";
        AT "at": Kind::Shaped(Shape::TIME), [= "09:00"], "18:30";
        /// The zone of the time.
        zh "时刻所用的时区。";
        TIMEZONE "timezone": Kind::Shaped(Shape::ZONE), ["required, unless `quiet_hours` has one", "必填，除非 `quiet_hours` 已有"], "Europe/Berlin";
    }
}
