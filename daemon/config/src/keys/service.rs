//! The keys of services, templates, and the metrics that both name.

use fleet::Seconds;

use super::pool;
use super::pool::UNITS_MAX;
use super::{Key, Kind, Preset, Rule, Section, Shape};
use super::{example, preset, sections};

sections! {
    /// A service: one group that is sized by the demand on it.
    zh "服务：一个按其需求调节规模的组。";
    service "`[[service]]`" at ["service"]
    takes [shared::SECTION, workload::SECTION]
    example "[[service]]\nname = \"checkout\"\nviolation_budget = \"0.1%\"\ndemand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", dimensions = { LoadBalancer = \"app/checkout/50dc6c495c0c9188\" }, when_missing = \"zero\" }]\n\n[[service.pool]]\ngroup = \"checkout-asg\"\nmin = 2\nmax = 40\n"
    {
        /// The service's name, unique in the file. The journal keeps what it learns under it.
        zh "服务名称，文件内唯一。日志库以此名保存所学到的内容。";
        NAME "name": Kind::Text, [required], "checkout";
        /// The groups that carry the service: one that is sized, and any number with `fixed = true`.
        zh "承载服务的组：一个受管池，以及任意多个 `fixed = true` 的池。";
        POOL "pool": Kind::Tables(&[&pool::pool::SECTION, &pool::fixed::SECTION]), [required], _;
    }

    /// Keys that hold for every service and template that does not set them itself.
    zh "对所有服务和模板生效的键，除非它们自己另行设置。";
    service_defaults "`[service_defaults]`" at ["service_defaults"]
    takes [shared::SECTION]
    example "[service_defaults]\nviolation_budget = \"0.5%\"\npromotion = \"gated\"\n"
    {
        /// How pools are sized that do not say so themselves.
        zh "未自行设置的池如何调节规模。";
        POOL "pool": Kind::Table(&pool::defaults::SECTION), ["the defaults of its keys", "各键的默认值"], _;
    }

    /// Keys that may stand in `[[service]]`, `[[service_template]]` and `[service_defaults]`.
    zh "可写在 `[[service]]`、`[[service_template]]` 和 `[service_defaults]` 中的键。";
    shared "Keys of services, templates and `[service_defaults]`" or "服务、模板和 `[service_defaults]` 的键" at ["service_defaults"]
    example "[service_defaults]\nviolation_budget = \"0.5%\"\nforecaster = \"auto\"\n"
    {
        /// Whether this service may be changed. The stricter of this and the file's own `mode`
        /// holds.
        zh "该服务是否可被更改。以它和文件顶层 `mode` 中更严格者为准。";
        MODE "mode": Kind::Choice(&["observe", "act"]), [= "act"], "observe";
        /// `gated`: the service stays in shadow until somebody runs `neap promote`. See
        /// `[promotion]`.
        zh "`gated`：服务停留在影子阶段，直到有人执行 `neap promote`。见 `[promotion]`。";
        PROMOTION "promotion": Kind::Choice(&["none", "gated"]), [= "none"], "gated";
        /// The promise: the share of intervals over 28 days in which demand may exceed capacity.
        /// A smaller budget buys more spare capacity.
        zh "承诺：28 天内需求超过容量的间隔所占比例上限。预算越小，预留的余量越多。";
        VIOLATION_BUDGET "violation_budget": Kind::Shaped(Shape::SHARE_ABOVE_0), [= "0.5%"], "0.1%";
        /// The model that forecasts demand. `auto` takes the best by backtest.
        zh "预测需求的模型。`auto` 按回测选最好的。";
        FORECASTER "forecaster": Kind::Choice(&["auto", "last-value", "seasonal-day", "seasonal-week", "ets", "linear"]), [= "auto"], "seasonal-week";
        /// What services have in common: load balancers, accounts, zones. Services that name the
        /// same upstream and lose demand at once are taken for an outage of it.
        zh "服务共用的上游：负载均衡、账号、可用区。列出同一上游的服务同时失去需求时，视为该上游故障。";
        UPSTREAMS "upstreams": Kind::List(&Kind::Text), ["none", "没有"], ["app/checkout/50dc"];
        /// The `[calendar.NAME]` that the users of the service live by. Forecasts then know days
        /// of rest and holidays.
        zh "服务用户所遵循的 `[calendar.NAME]`，预测因此知道休息日和节假日。";
        CALENDAR "calendar": Kind::Text, ["none", "没有"], "cn";
        /// Times in which its size is bounded: a dev fleet is down at night, a service has a least
        /// size in its office hours.
        zh "限定其规模的时段：开发环境夜间归零，或办公时段保持最小规模。";
        HOURS "hours": Kind::Tables(&[&hours::SECTION]), ["none", "没有"], _;
    }

    /// A time in which a service's size is bounded. The bound holds all the while, and units are in service
    /// when it ends. Of tables that overlap each holds; the lower maximum wins over a minimum.
    zh "限定服务规模的时段。时段内始终有效；结束时单元已在役。多个时段重叠时各自有效，较低的上限优先于下限。";
    hours "`hours`" at ["service", "hours"]
    rules [
        Rule::AnyOf(&[&EXACTLY, &MIN, &MAX]),
        Rule::Apart(&[&EXACTLY], &[&MIN, &MAX])
    ]
    example "[[service]]\nname = \"dev\"\ndemand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", when_missing = \"zero\" }]\npool = [{ group = \"dev-asg\" }]\n\n[[service.hours]]\nat = [\"daily 20:00-07:00\", \"Sat,Sun\"]\ntimezone = \"Europe/Berlin\"\nexactly = 0\n"
    {
        /// When: a window, or a list of them. `working_days` and `rest_days` in place of weekdays are those
        /// of `calendar`.
        zh "何时：一个或多个时段。可用 `working_days` 和 `rest_days` 代替星期几，以 `calendar` 为准。";
        AT "at": Kind::Either(&[Kind::Shaped(Shape::UP), Kind::List(&Kind::Shaped(Shape::UP))]), [required], "daily 20:00-07:00";
        /// The zone of the hours.
        zh "时段所用的时区。";
        TIMEZONE "timezone": Kind::Shaped(Shape::ZONE), ["the calendar's; required without `calendar`", "日历的时区；没有 `calendar` 时必填"], "Europe/Berlin";
        /// The `[calendar.NAME]` that knows days of rest and holidays.
        zh "知道休息日和节假日的 `[calendar.NAME]`。";
        CALENDAR "calendar": Kind::Text, ["none", "没有"], "cn";
        /// The size in these hours. 0 takes the whole group down, and what is measured meanwhile is no
        /// demand.
        zh "这些时段内的规模。0 表示整组归零，其间测得的数值不算需求。";
        EXACTLY "exactly": Kind::Whole(0, UNITS_MAX), ["demand decides", "由需求决定"], 0, in "units" "个单元";
        /// The least size in these hours, in service when they begin.
        zh "这些时段内的最小规模，时段开始时已在役。";
        MIN "min": Kind::Whole(1, UNITS_MAX), ["the pool's", "以池为准"], 4, in "units" "个单元";
        /// The largest size in these hours. What is above goes without a wait for proof or a budget.
        zh "这些时段内的最大规模。超出部分不等待证明、不占预算即移除。";
        MAX "max": Kind::Whole(0, UNITS_MAX), ["the pool's", "以池为准"], 6, in "units" "个单元";
    }

    /// Keys of `[[service]]` and `[[service_template]]` that say what the demand is.
    zh "`[[service]]` 和 `[[service_template]]` 中说明需求的键。";
    workload "Keys of services and templates" or "服务和模板的键" at ["service"]
    example "[[service]]\nname = \"checkout\"\ndemand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", when_missing = \"zero\" }]\nsignals = { errors = { namespace = \"AWS/ApplicationELB\", metric = \"HTTPCode_ELB_5XX_Count\", when_missing = \"zero\" } }\npool = [{ group = \"checkout-asg\" }]\n"
    {
        /// The metrics whose sum is the demand. Demand is total load, such as requests. Never use
        /// average utilisation: it falls when units are added. All metrics of a sum have one
        /// period. Where nothing counts the load, write `"cpu"`: demand is then mean utilisation
        /// times units in service, and a unit carries `target_utilisation` of itself. `"network"`
        /// is the bytes per second that the group's units receive and send.
        zh "其总和为需求的指标。需求是总负载，例如请求数。绝不要用平均利用率，它会随单元增加而下降。同一总和中的指标周期必须相同。没有指标统计负载时写 `\"cpu\"`：需求为平均利用率乘以在役单元数，一个单元承载其自身的 `target_utilisation`。`\"network\"` 是组内单元每秒收发的字节数。";
        DEMAND "demand": Kind::Either(&[Kind::Choice(&["cpu", "network"]), Kind::Tables(&[&metric::SECTION])]), [required], "cpu";
        /// Demand per second that something else serves. It is subtracted from the sum.
        zh "由其他设施承载的每秒需求，从总和中减去。";
        FIXED_CAPACITY "fixed_capacity": Kind::NotNegative, [= 0], 100, in "demand per second" "每秒需求";
        /// The mean utilisation of the group's instances in percent. It teaches
        /// `capacity_per_unit`. On Alibaba Cloud the dimension `scalingGroup` stands for the members of a
        /// group, of which neap takes the mean.
        zh "组内实例的平均利用率（百分比），用于学习 `capacity_per_unit`。在阿里云上，维度 `scalingGroup` 代表组内成员，neap 取其平均值。";
        UTILISATION "utilisation": Kind::Table(&metric::SECTION), ["what the cloud measures of the group", "云端对该组的测量"], _;
        /// Metrics that tell an outage from a real drop of demand.
        zh "用来区分故障与需求真正下降的指标。";
        SIGNALS "signals": Kind::Table(&signals::SECTION), ["none", "没有"], _;
    }

    /// Signs of an outage. While they show one, neap removes no unit.
    zh "故障的迹象。出现故障迹象时，neap 不移除单元。";
    signals "`signals`" at ["service", "signals"]
    example "[[service]]\nname = \"checkout\"\ndemand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", when_missing = \"zero\" }]\npool = [{ group = \"checkout-asg\" }]\n\n[service.signals]\nerrors = { namespace = \"AWS/ApplicationELB\", metric = \"HTTPCode_ELB_5XX_Count\", when_missing = \"zero\" }\nhealthy_hosts = { namespace = \"AWS/ApplicationELB\", metric = \"HealthyHostCount\" }\n"
    {
        /// Errors in an interval: more is worse. The default `stat` is `Sum`.
        zh "一个间隔内的错误数，越多越糟。默认 `stat` 为 `Sum`。";
        ERRORS "errors": Kind::Table(&metric::SECTION), ["not watched", "不观察"], _;
        /// Healthy hosts: fewer is worse. The default `stat` is `Minimum`.
        zh "健康主机数，越少越糟。默认 `stat` 为 `Minimum`。";
        HEALTHY_HOSTS "healthy_hosts": Kind::Table(&metric::SECTION), ["not watched", "不观察"], _;
    }

    /// A metric. Name it with `namespace` and `metric` where a cloud measures, and with `query`
    /// where Prometheus does.
    zh "指标。云端指标用 `namespace` 和 `metric` 指明，Prometheus 指标用 `query`。";
    metric "A metric" or "指标" at ["service", "demand"]
    rules [
        Rule::OneOf(&[&[&NAMESPACE, &METRIC], &[&QUERY]]),
        Rule::Apart(&[&QUERY], &[&ACCOUNT, &SOURCE_ACCOUNT, &REGION, &STAT, &DIMENSIONS])
    ]
    example "[[service]]\nname = \"checkout\"\npool = [{ group = \"checkout-asg\" }]\n\n[[service.demand]]\nnamespace = \"AWS/ApplicationELB\"\nmetric = \"RequestCount\"\ndimensions = { LoadBalancer = \"app/checkout/50dc6c495c0c9188\" }\nwhen_missing = \"zero\"\n"
    {
        /// The provider that measures, by its name in this file.
        zh "提供该指标的 provider，用本文件中的名称。";
        FROM "from": Kind::Text, ["the provider of the pool", "池所在的 provider"], "aws";
        /// The metric's namespace: `AWS/ApplicationELB`, or on Alibaba Cloud `acs_slb_dashboard`.
        zh "指标的命名空间：例如 `AWS/ApplicationELB`，阿里云上例如 `acs_slb_dashboard`。";
        NAMESPACE "namespace": Kind::Text, ["required without `query`", "没有 `query` 时必填"], "AWS/ApplicationELB";
        /// The metric's name.
        zh "指标名称。";
        METRIC "metric": Kind::Text, ["required without `query`", "没有 `query` 时必填"], "RequestCount";
        /// What picks the series: names and values as the cloud has them. In a template the values
        /// may hold placeholders.
        zh "选取时间序列的维度：名称和值与云端一致。模板中的值可含占位符。";
        DIMENSIONS "dimensions": Kind::Map(&Kind::Text), ["none", "没有"], { LoadBalancer = "app/checkout/50dc6c495c0c9188" };
        /// How samples of a period are folded. A percentile is written `p99`; Alibaba Cloud has
        /// none.
        zh "一个周期内的样本如何汇总。百分位数写作 `p99`；阿里云没有百分位数。";
        STAT "stat": Kind::Shaped(Shape::STATISTIC), ["`Sum` for demand and errors, `Average` for utilisation and rates, `Minimum` for healthy hosts", "需求和错误为 `Sum`，利用率和速率为 `Average`，健康主机为 `Minimum`"], "Sum";
        /// The account that measures.
        zh "指标所在的账号。";
        ACCOUNT "account": Kind::Text, ["the pool's account", "池所在的账号"], "111122223333";
        /// The account whose metric it is, where `account` is a monitoring account of CloudWatch's
        /// cross-account observability. In a template it may be `{account}`.
        zh "指标所属的账号，用于 `account` 是 CloudWatch 跨账号可观测性的监控账号时。模板中可写 `{account}`。";
        SOURCE_ACCOUNT "source_account": Kind::Text, ["the account that measures", "指标所在的账号"], "444455556666";
        /// The region that measures.
        zh "指标所在的地域。";
        REGION "region": Kind::Text, ["the pool's region", "池所在的地域"], "eu-west-1";
        /// PromQL, for a provider of kind `prometheus`. It must return one series: total load per
        /// second for demand.
        zh "PromQL，用于 `prometheus` 类型的 provider。须返回一条序列；用作需求时为每秒总负载。";
        QUERY "query": Kind::Text, ["required without `namespace`", "没有 `namespace` 时必填"], "sum(rate(http_requests_total{job=\"checkout\"}[1m]))";
        /// The step of the samples: `1s`, `5s`, `10s`, `15s`, `30s` or whole minutes.
        zh "样本的步长：`1s`、`5s`、`10s`、`15s`、`30s` 或整分钟。";
        PERIOD "period": Kind::Duration(Seconds(1), Seconds::days(1)), [= "1m"], "5m";
        /// What a missing sample means. `unknown`: nothing is known, and no unit is removed.
        /// `zero`: nothing happened, as for load balancers, which report no sample when they have
        /// no requests.
        zh "缺失样本的含义。`unknown`：一无所知，不移除单元。`zero`：什么都没发生，例如负载均衡没有请求时不上报样本。";
        WHEN_MISSING "when_missing": Kind::Choice(&["unknown", "zero"]), [= "unknown"], "zero";
    }

    /// Services made of every group that carries certain tags. `name`, the values of `dimensions`,
    /// `query` and `upstreams` may hold `{group}`, `{account}`, `{region}` and `{tag:KEY}`, which
    /// are filled in from each group.
    zh "由带有指定标签的每个组生成的服务。`name`、`dimensions` 的值、`query` 和 `upstreams` 可含 `{group}`、`{account}`、`{region}` 和 `{tag:KEY}`，由各组填入。";
    template "`[[service_template]]`" at ["service_template"]
    takes [shared::SECTION, workload::SECTION]
    example "[[service_template]]\nmatch = { tags = { \"neap:scale\" = [\"yes\"] } }\ndemand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", dimensions = { LoadBalancer = \"{tag:lb}\" }, when_missing = \"zero\" }]\npool = { lead_time = \"3m\" }\n"
    {
        /// Which groups it is for.
        zh "用于哪些组。";
        MATCH "match": Kind::Table(&template_match::SECTION), [required], _;
        /// The name of each service. It must hold a placeholder.
        zh "各服务的名称，必须含有占位符。";
        NAME "name": Kind::Text, [= "{group}"], "{tag:app}-{region}";
        /// The provider that holds the groups, by its name in this file.
        zh "组所在的 provider，用本文件中的名称。";
        PROVIDER "provider": Kind::Text, ["the only cloud of the file", "文件中唯一的云"], "aws";
        /// How the pools are sized.
        zh "各池如何调节规模。";
        POOL "pool": Kind::Table(&pool::defaults::SECTION), ["what `[service_defaults.pool]` says", "以 `[service_defaults.pool]` 为准"], _;
    }

    /// Which groups a template is for.
    zh "模板用于哪些组。";
    template_match "`match` of `[[service_template]]`" or "`[[service_template]]` 的 `match`" at ["service_template", "match"]
    example "[[service_template]]\nmatch = { tags = { \"neap:scale\" = [\"yes\"] } }\ndemand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", dimensions = { LoadBalancer = \"{tag:lb}\" }, when_missing = \"zero\" }]\n"
    {
        /// Each of these tags must have one of its values. An empty list takes any value.
        zh "每个标签须具有所列值之一。空列表表示任意值。";
        TAGS "tags": Kind::Map(&Kind::List(&Kind::Text)), [required], { "neap:scale" = ["yes"] };
    }
}
