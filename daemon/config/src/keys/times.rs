//! The keys of calendars, freezes and events.

use super::{Key, Kind, Preset, Rule, Section, Shape};
use super::{example, preset, sections};

sections! {
    /// A calendar: the time zone that people live in, their days of rest and their holidays.
    /// Services and schedules name it.
    zh "日历：人们所在的时区、休息日和节假日，供服务和时间表引用。";
    calendar "`[calendar.NAME]`" at ["calendar", "cn"]
    rules [Rule::Apart(&[&HOLIDAYS], &[&HOLIDAYS_FILE])]
    example "[calendar.cn]\ntimezone = \"Asia/Shanghai\"\nholidays = \"CN\"\n"
    {
        /// The zone of its days.
        zh "日历所用的时区。";
        TIMEZONE "timezone": Kind::Shaped(Shape::ZONE), [required], "Asia/Shanghai";
        /// The weekdays on which people do not work.
        zh "每周的休息日。";
        REST_DAYS "rest_days": Kind::Shaped(Shape::DAYS), [= "Sat,Sun"], "Fri,Sat";
        /// The country whose holidays and make-up working days are built in.
        zh "内置节假日和调休数据的国家。";
        HOLIDAYS "holidays": Kind::Choice(&["CN"]), ["no holidays", "没有节假日"], "CN";
        /// A CSV file of days that are not what their weekday says, with rows `date,kind,name`;
        /// `kind` is `rest` or `working`.
        zh "CSV 文件，列出与星期几不符的日子，每行为 `date,kind,name`，`kind` 为 `rest` 或 `working`。";
        HOLIDAYS_FILE "holidays_file": Kind::Path, ["no holidays", "没有节假日"], "holidays.csv";
    }

    /// A time in which changes are restrained. It comes every week (`weekly`) or once (`from` and
    /// `until`).
    zh "限制更改的时段：每周一次（`weekly`）或仅一次（`from` 与 `until`）。";
    freeze "`[[freeze]]`" at ["freeze"]
    rules [Rule::OneOf(&[&[&WEEKLY], &[&FROM, &UNTIL]])]
    example "[[freeze]]\nname = \"office\"\ntimezone = \"Europe/Berlin\"\nweekly = \"Mon-Fri 08:30-20:00\"\n"
    {
        /// Its name, for people.
        zh "名称，供人阅读。";
        NAME "name": Kind::Text, [required], "office";
        /// The zone of its times.
        zh "时间所用的时区。";
        TIMEZONE "timezone": Kind::Shaped(Shape::ZONE), [required], "Europe/Berlin";
        /// `decreases` holds back removals and stops. `all` holds back growth as well.
        zh "`decreases` 限制移除和停机；`all` 连增长也限制。";
        SCOPE "scope": Kind::Choice(&["decreases", "all"]), [= "decreases"], "all";
        /// The services it is for.
        zh "适用的服务。";
        SERVICES "services": Kind::List(&Kind::Text), ["all services", "所有服务"], ["checkout"];
        /// When it is open, every week. A window that ends earlier than it begins ends on the next
        /// day.
        zh "每周何时生效。结束早于开始的时段在次日结束。";
        WEEKLY "weekly": Kind::Shaped(Shape::WEEKLY), ["required without `from`", "没有 `from` 时必填"], "Fri 18:00-Mon 08:00";
        /// When it begins, in local time.
        zh "开始时间（当地时间）。";
        FROM "from": Kind::LocalTime, ["required without `weekly`", "没有 `weekly` 时必填"], "2026-12-24T18:00";
        /// When it ends, in local time.
        zh "结束时间（当地时间）。";
        UNTIL "until": Kind::LocalTime, ["required with `from`", "有 `from` 时必填"], "2026-12-27";
    }

    /// An event that is known beforehand. neap has its capacity ready before it begins. Events of
    /// one name are the same event: forecasts learn from its last times. It comes every week
    /// (`weekly`), every year (`yearly`) or once (`from` and `until`).
    zh "事先已知的事件，neap 会在其开始前备好容量。同名的事件视为同一事件，预测会借鉴它以往的情况。可以每周（`weekly`）、每年（`yearly`）或仅一次（`from` 与 `until`）。";
    event "`[[event]]`" at ["event"]
    rules [Rule::OneOf(&[&[&WEEKLY], &[&YEARLY], &[&FROM, &UNTIL]])]
    example "[[event]]\nname = \"singles-day\"\ntimezone = \"Asia/Shanghai\"\nyearly = \"11-10 20:00-11-12 02:00\"\nservices = [\"checkout\"]\nfloor = 30\nexpires = \"2027-11-13\"\n"
    {
        /// Its name. Give an event the same name each time it comes.
        zh "名称。同一事件每次使用同一名称。";
        NAME "name": Kind::Text, [required], "singles-day";
        /// The zone of its times.
        zh "时间所用的时区。";
        TIMEZONE "timezone": Kind::Shaped(Shape::ZONE), [required], "Asia/Shanghai";
        /// The services it is for.
        zh "适用的服务。";
        SERVICES "services": Kind::List(&Kind::Text), ["all services", "所有服务"], ["checkout"];
        /// When it takes place, every week.
        zh "每周何时发生。";
        WEEKLY "weekly": Kind::Shaped(Shape::WEEKLY), ["one of `weekly`, `yearly` and `from` is required", "`weekly`、`yearly`、`from` 三者必填其一"], "daily 02:00-03:30";
        /// When it takes place, every year. A date alone is the whole day.
        zh "每年何时发生。只写日期表示全天。";
        YEARLY "yearly": Kind::Shaped(Shape::YEARLY), ["one of `weekly`, `yearly` and `from` is required", "`weekly`、`yearly`、`from` 三者必填其一"], "11-11 20:00-24:00";
        /// When it begins, in local time.
        zh "开始时间（当地时间）。";
        FROM "from": Kind::LocalTime, ["one of `weekly`, `yearly` and `from` is required", "`weekly`、`yearly`、`from` 三者必填其一"], "2026-12-01T09:00";
        /// When it ends, in local time.
        zh "结束时间（当地时间）。";
        UNTIL "until": Kind::LocalTime, ["required with `from`", "有 `from` 时必填"], "2026-12-01T21:00";
        /// The least number of units while it lasts. The floor is in force early enough for its
        /// units to be in service when it begins.
        zh "事件期间的最少单元数。会提前生效，使单元在事件开始时已投入服务。";
        FLOOR "floor": Kind::Whole(1, 1_000_000), ["no floor", "没有"], 30, in "units" "个单元";
        /// From when on the floor is void, in local time. An event that comes back must have one
        /// if it has a `floor`, so that a forgotten floor is not paid for.
        zh "下限从何时起失效（当地时间）。重复发生的事件若有 `floor` 则必填，以免遗忘后一直付费。";
        EXPIRES "expires": Kind::LocalTime, ["the end of an event that comes once", "仅一次的事件为其结束时间"], "2027-11-13";
    }
}
