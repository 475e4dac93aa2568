//! Text that has a shape: what a pattern can say of it, in the words of both languages.

/// Text of some shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Its name in English.
    pub text: &'static str,
    /// Its name in Chinese.
    pub zh: &'static str,
    /// A pattern that the whole text keeps; it may be wider than what the reader takes.
    pub pattern: &'static str,
}

/// A duration, between the marks of a pattern.
macro_rules! duration {
    () => {
        "(?=[0-9])([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?"
    };
}
macro_rules! share {
    () => {
        r"0*(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?)\s*%"
    };
}
macro_rules! day {
    () => {
        "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
    };
}
macro_rules! days {
    () => {
        concat!("(daily|", day!(), "(-", day!(), ")?(,", day!(), "(-", day!(), ")?)*)")
    };
}
macro_rules! which {
    () => {
        "(first|second|third|fourth|fifth|last)"
    };
}
macro_rules! of_month {
    () => {
        concat!("(", which!(), "(,", which!(), r")*\s+(?!daily))?")
    };
}
macro_rules! time {
    () => {
        "([01][0-9]|2[0-3]):[0-5][0-9]"
    };
}
macro_rules! times {
    () => {
        concat!(time!(), "-(", time!(), "|24:00)")
    };
}
macro_rules! whole {
    ($($part:tt)+) => {
        concat!("^", $($part)+, "$")
    };
}

impl Shape {
    /// What [`super::Kind::Duration`] takes, but for its limits.
    pub const DURATION: &str = whole!(duration!());
    /// What [`super::Kind::LocalTime`] takes.
    pub const LOCAL_TIME: &str =
        whole!(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?");
    /// A share in percent.
    pub const SHARE: Shape =
        Shape { text: "share, 0% to 100%", zh: "比例，0% 到 100%", pattern: whole!(share!()) };
    /// A share that is not nothing.
    pub const SHARE_ABOVE_0: Shape = Shape {
        text: "share, above 0% to 100%",
        zh: "比例，大于 0%，不超过 100%",
        pattern: whole!(r"(?!0*(\.0*)?\s*%)", share!()),
    };
    /// Bytes.
    pub const SIZE: Shape = Shape {
        text: "size with a unit (KiB, MiB, GiB, TiB, kB, MB, GB, TB)",
        zh: "带单位的大小（KiB、MiB、GiB、TiB、kB、MB、GB、TB）",
        pattern: whole!(r"[0-9]+\s*(KiB|MiB|GiB|TiB|kB|MB|GB|TB)"),
    };
    /// How much may go in which time.
    pub const BUDGET: Shape = Shape {
        text: "budget: a share per duration, and what is always allowed",
        zh: "预算：每段时间的比例，以及始终允许的数量",
        pattern: whole!(
            r"\s*",
            share!(),
            r"\s* per \s*",
            duration!(),
            r"\s*(,\s*at least \s*[0-9]+\s*)?"
        ),
    };
    /// Messages in a stretch of time.
    pub const RATE: Shape = Shape {
        text: "rate: a count per duration",
        zh: "速率：每段时间的次数",
        pattern: whole!(r"\s*[0-9]+\s* per \s*", duration!(), r"\s*"),
    };
    /// An IANA time zone.
    pub const ZONE: Shape = Shape {
        text: "IANA time zone",
        zh: "IANA 时区",
        pattern: whole!("[A-Za-z][A-Za-z0-9_/+-]*"),
    };
    /// A zone as Cloud Custodian names it.
    pub const CUSTODIAN_ZONE: Shape = Shape {
        text: "time zone, an IANA name or an abbreviation that Cloud Custodian knows",
        zh: "时区：IANA 名称，或 Cloud Custodian 认识的缩写",
        pattern: whole!("[A-Za-z][A-Za-z0-9_/+-]*"),
    };
    /// A window that comes every week.
    pub const WEEKLY: Shape = Shape {
        text: "weekly window, or one of a month",
        zh: "每周或每月的时段",
        pattern: whole!(
            r"\s*",
            of_month!(),
            "(",
            days!(),
            r"\s+",
            times!(),
            "|",
            day!(),
            r"\s+",
            time!(),
            "-",
            day!(),
            r"\s+(",
            time!(),
            r"|24:00))\s*"
        ),
    };
    /// Quiet hours: every day, or a weekly window.
    pub const QUIET: Shape = Shape {
        text: "hours of every day, or a window of a week or a month",
        zh: "每天的时段，或每周、每月的时段",
        pattern: whole!(
            r"\s*((",
            of_month!(),
            days!(),
            r"\s+)?",
            times!(),
            "|",
            of_month!(),
            day!(),
            r"\s+",
            time!(),
            "-",
            day!(),
            r"\s+(",
            time!(),
            r"|24:00))\s*"
        ),
    };
    /// When machines are to be up.
    pub const UP: Shape = Shape {
        text: "window of a week or a month, whole days, or days of the calendar",
        zh: "每周或每月的时段、整天，或日历中的日子",
        pattern: whole!(
            r"\s*((",
            of_month!(),
            days!(),
            r"|working_days|rest_days)(\s+",
            times!(),
            ")?|",
            of_month!(),
            day!(),
            r"\s+",
            time!(),
            "-",
            day!(),
            r"\s+(",
            time!(),
            r"|24:00))\s*"
        ),
    };
    /// When machines are to be up on one day.
    pub const DAY_HOURS: Shape = Shape {
        text: "hours of one day, or `none`",
        zh: "一天内的时段，或 `none`",
        pattern: whole!(r"(\s*", times!(), r"\s*|none)"),
    };
    /// A window that comes every year.
    pub const YEARLY: Shape = Shape {
        text: "yearly window",
        zh: "每年时段",
        pattern: whole!(
            r"\s*[0-9]{2}-[0-9]{2}(\s+",
            times!(),
            r"|\s+",
            time!(),
            r"-[0-9]{2}-[0-9]{2}\s+",
            time!(),
            r")?\s*"
        ),
    };
    /// Weekdays.
    pub const DAYS: Shape = Shape {
        text: "weekdays, or `none`",
        zh: "星期几，或 `none`",
        pattern: whole!("(none|", days!(), ")"),
    };
    /// One weekday.
    pub const DAY: Shape = Shape { text: "weekday", zh: "星期几", pattern: whole!(day!()) };
    /// A time of day.
    pub const TIME: Shape =
        Shape { text: "time of day", zh: "一天中的时刻", pattern: whole!(time!()) };
    /// A date.
    pub const DATE: Shape = Shape {
        text: "date",
        zh: "日期",
        pattern: whole!("[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ]00:00(:00)?)?"),
    };
    /// A moment of UTC or with an offset.
    pub const MOMENT: Shape = Shape {
        text: "moment (RFC 3339)",
        zh: "时间点（RFC 3339）",
        pattern: whole!("[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].*"),
    };
    /// An address of HTTP.
    pub const ADDRESS: Shape = Shape {
        text: "http(s) address",
        zh: "http(s) 地址",
        pattern: whole!(r"\s*[Hh][Tt][Tt][Pp][Ss]?://.+"),
    };
    /// Where something listens.
    pub const LISTEN: Shape = Shape {
        text: "IP address and port",
        zh: "IP 地址和端口",
        pattern: whole!(".+:[0-9]{1,5}"),
    };
    /// The name of a host.
    pub const HOST: Shape =
        Shape { text: "host name", zh: "主机名", pattern: whole!(r"[A-Za-z0-9.:\[\]-]*") };
    /// The name of an HTTP header.
    pub const HEADER: Shape =
        Shape { text: "header name", zh: "HTTP 头名称", pattern: whole!("[A-Za-z0-9-]*") };
    /// A name that stands in keys, headers and names of files.
    pub const PLAIN_NAME: Shape = Shape {
        text: "name of letters, digits, `-` and `_`",
        zh: "由字母、数字、`-`、`_` 组成的名称",
        pattern: whole!("[A-Za-z0-9_-]+"),
    };
    /// Who somebody is.
    pub const PERSON: Shape =
        Shape { text: "name of a person", zh: "人名", pattern: whole!(r"\S(.{0,62}\S)?") };
    /// A tag with its value.
    pub const TAG_AND_VALUE: Shape =
        Shape { text: "tag and value", zh: "标签及其值", pattern: whole!("[^=]+=.+") };
    /// What a metric's samples are folded by.
    pub const STATISTIC: Shape = Shape {
        text: "`Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or a percentile",
        zh: "`Sum`、`Average`、`Minimum`、`Maximum`、`SampleCount` 或百分位数",
        pattern: whole!(r"(Sum|Average|Minimum|Maximum|SampleCount|p[0-9.]+)"),
    };
    /// A role of AWS.
    pub const AWS_ROLE: Shape =
        Shape { text: "ARN of a role", zh: "角色的 ARN", pattern: whole!("arn:.+") };
    /// A role of Alibaba Cloud.
    pub const ALIBABA_ROLE: Shape =
        Shape {
            text: "ARN of a RAM role", zh: "RAM 角色的 ARN", pattern: whole!("acs:ram::.+")
        };
}
