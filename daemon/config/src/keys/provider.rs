//! The keys of `[provider.NAME]`: a section for each kind.

use fleet::Seconds;

use super::{Key, Kind, Preset, Rule, Section, Shape};
use super::{example, preset, sections};

sections! {
    /// Amazon Web Services. Credentials are found as the AWS SDK finds them: never in this file.
    zh "亚马逊云科技。凭据按 AWS SDK 的默认方式查找，从不写在本文件中。";
    aws "`[provider.NAME]` with `kind = \"aws\"`" or "`[provider.NAME]`，`kind = \"aws\"`" at ["provider", "aws"]
    example "[provider.aws]\nkind = \"aws\"\nregions = [\"eu-west-1\"]\naccounts = [{ role_arn = \"arn:aws:iam::111122223333:role/neap\" }]\n"
    {
        /// Which cloud or source this is.
        zh "这是哪种云或指标来源。";
        KIND "kind": Kind::Only("\"aws\""), [required], "aws";
        /// The regions to look in; at least one. `"all"` is every region that an account has: neap asks for
        /// them at the start and each day, and services and metrics then name theirs.
        zh "要查看的地域，至少一个。`\"all\"` 表示账号拥有的所有地域：neap 在启动时和每天查询一次，此时服务和指标须写明各自的地域。";
        REGIONS "regions": Kind::Either(&[Kind::Only("\"all\""), Kind::List(&Kind::Text)]), [required], ["eu-west-1"];
        /// The accounts to look in, each by a role to assume.
        zh "要查看的账号，每个账号对应一个要扮演的角色。";
        ACCOUNTS "accounts": Kind::Tables(&[&aws_account::SECTION]), ["the credentials' own account, named `default`", "凭据自己的账号，名为 `default`"], _;
        /// Another address for every service: for private endpoints and tests.
        zh "所有服务改用此地址：用于私有终端节点和测试。";
        ENDPOINT_URL "endpoint_url": Kind::Shaped(Shape::ADDRESS), ["AWS's own endpoints", "AWS 自己的终端节点"], "https://vpce.example.com";
        /// What reading metrics from CloudWatch may cost in a month.
        zh "每月从 CloudWatch 读取指标可花费多少。";
        API_BUDGET "api_budget": Kind::Table(&aws_budget::SECTION), ["no limit", "不设上限"], _;
    }

    /// An account of AWS.
    zh "AWS 的一个账号。";
    aws_account "`accounts` of `kind = \"aws\"`" or "`accounts`（`kind = \"aws\"`）" at ["provider", "aws", "accounts"]
    example "[provider.aws]\nkind = \"aws\"\nregions = [\"eu-west-1\"]\n\n[[provider.aws.accounts]]\nrole_arn = \"arn:aws:iam::111122223333:role/neap\"\nexternal_id = \"f3c1\"\n"
    {
        /// The role to assume. The account's id is taken from it; two roles of one account are
        /// refused.
        zh "要扮演的角色。账号 ID 取自其中；同一账号不能有两个角色。";
        ROLE_ARN "role_arn": Kind::Shaped(Shape::AWS_ROLE), [required], "arn:aws:iam::111122223333:role/neap";
        /// The external id that the role's trust policy asks for.
        zh "角色信任策略要求的外部 ID。";
        EXTERNAL_ID "external_id": Kind::Text, ["none is sent", "不发送"], "f3c1";
    }

    /// What reading metrics may cost in a month of 30 days. The stricter limit holds.
    /// neap spreads it over the month, and reads metrics less often where it is too small for
    /// `poll_interval`.
    zh "30 天内读取指标可花费多少，以更严格的限制为准。neap 将其平摊到整个月；若不足以支撑 `poll_interval`，就降低读取频率。";
    aws_budget "`api_budget` of `kind = \"aws\"`" or "`api_budget`（`kind = \"aws\"`）" at ["provider", "aws", "api_budget"]
    example "[provider.aws]\nkind = \"aws\"\nregions = [\"eu-west-1\"]\napi_budget = { usd_per_month = 50 }\n"
    {
        /// How many metrics may be read in a month.
        zh "每月可读取的指标数。";
        METRICS_PER_MONTH "metrics_per_month": Kind::Whole(1, u64::MAX), ["no limit", "不设上限"], 5_000_000, in "metrics a month" "个指标/月";
        /// How many US dollars reading metrics may cost in a month.
        zh "每月读取指标可花费的美元数。";
        USD_PER_MONTH "usd_per_month": Kind::Positive, ["no limit", "不设上限"], 50, in "US dollars a month" "美元/月";
    }

    /// Alibaba Cloud. Credentials are found by the default chain of Alibaba Cloud: never in this
    /// file.
    zh "阿里云。凭据按阿里云的默认凭据链查找，从不写在本文件中。";
    alibaba "`[provider.NAME]` with `kind = \"alibaba\"`" or "`[provider.NAME]`，`kind = \"alibaba\"`" at ["provider", "alibaba"]
    example "[provider.alibaba]\nkind = \"alibaba\"\nregions = [\"cn-hangzhou\"]\naccounts = [{ role_arn = \"acs:ram::1234567890123456:role/neap\" }]\n"
    {
        /// Which cloud or source this is.
        zh "这是哪种云或指标来源。";
        KIND "kind": Kind::Only("\"alibaba\""), [required], "alibaba";
        /// The regions to look in; at least one. `"all"` is every region that an account has: neap asks for
        /// them at the start and each day, and services and metrics then name theirs.
        zh "要查看的地域，至少一个。`\"all\"` 表示账号拥有的所有地域：neap 在启动时和每天查询一次，此时服务和指标须写明各自的地域。";
        REGIONS "regions": Kind::Either(&[Kind::Only("\"all\""), Kind::List(&Kind::Text)]), [required], ["cn-hangzhou"];
        /// The accounts to look in, each by a RAM role to assume.
        zh "要查看的账号，每个账号对应一个要扮演的 RAM 角色。";
        ACCOUNTS "accounts": Kind::Tables(&[&alibaba_account::SECTION]), ["the credentials' own account, named `default`", "凭据自己的账号，名为 `default`"], _;
        /// Whether to use the endpoints inside the region's VPC.
        zh "是否使用地域 VPC 内的接入点。";
        VPC_ENDPOINTS "vpc_endpoints": Kind::Flag, [= false], true;
        /// Another address for every product: for private endpoints and tests.
        zh "所有产品改用此地址：用于私有接入点和测试。";
        ENDPOINT_URL "endpoint_url": Kind::Shaped(Shape::ADDRESS), ["Alibaba Cloud's own endpoints", "阿里云自己的接入点"], "https://ecs.internal.example.com";
        /// How many calls for metrics may be made in a month.
        zh "每月可发出多少次指标调用。";
        API_BUDGET "api_budget": Kind::Table(&alibaba_budget::SECTION), ["the defaults of its keys", "各键的默认值"], _;
    }

    /// An account of Alibaba Cloud.
    zh "阿里云的一个账号。";
    alibaba_account "`accounts` of `kind = \"alibaba\"`" or "`accounts`（`kind = \"alibaba\"`）" at ["provider", "alibaba", "accounts"]
    example "[provider.alibaba]\nkind = \"alibaba\"\nregions = [\"cn-hangzhou\"]\n\n[[provider.alibaba.accounts]]\nrole_arn = \"acs:ram::1234567890123456:role/neap\"\n"
    {
        /// The role to assume. The account's id is taken from it; two roles of one account are
        /// refused.
        zh "要扮演的角色。账号 ID 取自其中；同一账号不能有两个角色。";
        ROLE_ARN "role_arn": Kind::Shaped(Shape::ALIBABA_ROLE), [required], "acs:ram::1234567890123456:role/neap";
        /// The external id that the role's trust policy asks for.
        zh "角色信任策略要求的外部 ID。";
        EXTERNAL_ID "external_id": Kind::Text, ["none is sent", "不发送"], "f3c1";
    }

    /// How many calls for metrics may be made in a month of 30 days, in each account. neap
    /// spreads them over the month, and reads metrics less often where they are too few for
    /// `poll_interval`.
    zh "每个账号 30 天内可发出多少次指标调用。neap 将其平摊到整个月；若不足以支撑 `poll_interval`，就降低读取频率。";
    alibaba_budget "`api_budget` of `kind = \"alibaba\"`" or "`api_budget`（`kind = \"alibaba\"`）" at ["provider", "alibaba", "api_budget"]
    example "[provider.alibaba]\nkind = \"alibaba\"\nregions = [\"cn-hangzhou\"]\napi_budget = { metric_calls_per_month = 800000 }\n"
    {
        /// Calls in a month. The default is what Alibaba Cloud gives for free.
        zh "每月调用次数。默认值是阿里云的免费额度。";
        METRIC_CALLS_PER_MONTH "metric_calls_per_month": Kind::Whole(1, u64::MAX), [= 1_000_000], 800_000, in "calls a month" "次调用/月";
    }

    /// Prometheus, or a store that answers as it does. It measures demand and holds no groups.
    zh "Prometheus，或应答方式相同的存储。它只测量需求，不包含任何组。";
    prometheus "`[provider.NAME]` with `kind = \"prometheus\"`" or "`[provider.NAME]`，`kind = \"prometheus\"`" at ["provider", "prom"]
    rules [
        Rule::Apart(&[&BASIC], &[&BEARER_TOKEN_FILE]),
        Rule::Together(&[&CLIENT_CERTIFICATE_FILE, &CLIENT_KEY_FILE])
    ]
    example "[provider.aws]\nkind = \"aws\"\nregions = [\"eu-west-1\"]\n\n[provider.prom]\nkind = \"prometheus\"\nurl = \"https://prometheus.example.com\"\nbearer_token_file = \"prometheus.token\"\n"
    {
        /// Which cloud or source this is.
        zh "这是哪种云或指标来源。";
        KIND "kind": Kind::Only("\"prometheus\""), [required], "prometheus";
        /// The address before `/api/v1/query_range`. With credentials it must be `https://`, unless
        /// the store is on this machine. It must not hold a user or a password.
        zh "`/api/v1/query_range` 之前的地址。使用凭据时必须是 `https://`，除非存储就在本机。不能含有用户名或密码。";
        URL "url": Kind::Shaped(Shape::ADDRESS), [required], "https://prometheus.example.com";
        /// A user and a password that go along with every request.
        zh "随每个请求发送的用户名和密码。";
        BASIC "basic": Kind::Table(&basic::SECTION), ["none is sent", "不发送"], _;
        /// A file that holds a token that goes along with every request.
        zh "令牌所在文件，令牌随每个请求发送。";
        BEARER_TOKEN_FILE "bearer_token_file": Kind::Path, ["none is sent", "不发送"], "prometheus.token";
        /// The client certificate for connections, in PEM.
        zh "连接所用的客户端证书（PEM）。";
        CLIENT_CERTIFICATE_FILE "client_certificate_file": Kind::Path, ["no client certificate", "不使用"], "client.pem";
        /// The private key of the client certificate, in PEM.
        zh "客户端证书的私钥（PEM）。";
        CLIENT_KEY_FILE "client_key_file": Kind::Path, ["no client certificate", "不使用"], "client.key";
        /// The certificates that the store's own must come from, in PEM.
        zh "用来验证存储证书的 CA 证书（PEM）。";
        CA_FILE "ca_file": Kind::Path, ["the system's certificates", "系统自带的证书"], "ca.pem";
        /// Whose samples to read, where a store such as Mimir has several tenants. It is sent as
        /// `X-Scope-OrgID`.
        zh "在 Mimir 等多租户存储中读取哪个租户的数据，作为 `X-Scope-OrgID` 发送。";
        TENANT "tenant": Kind::Text, ["none is sent", "不发送"], "team-a";
    }

    /// A user and a password.
    zh "用户名和密码。";
    basic "`basic` of `kind = \"prometheus\"`" or "`basic`（`kind = \"prometheus\"`）" at ["provider", "prom", "basic"]
    example "[provider.aws]\nkind = \"aws\"\nregions = [\"eu-west-1\"]\n\n[provider.prom]\nkind = \"prometheus\"\nurl = \"https://prometheus.example.com\"\nbasic = { user = \"neap\", password_file = \"prometheus.password\" }\n"
    {
        /// The user. It must not contain `:`.
        zh "用户名，不能含有 `:`。";
        USER "user": Kind::Text, [required], "neap";
        /// A file that holds the password.
        zh "密码所在文件。";
        PASSWORD_FILE "password_file": Kind::Path, [required], "prometheus.password";
    }

    /// The simulated cloud: no account, no network. It brings its own clock and must be the only
    /// provider of a file.
    zh "模拟云：不需要账号和网络。它自带时钟，必须是文件中唯一的 provider。";
    sim "`[provider.NAME]` with `kind = \"sim\"`" or "`[provider.NAME]`，`kind = \"sim\"`" at ["provider", "sim"]
    example "[provider.sim]\nkind = \"sim\"\nseed = 7\nduration = \"24h\"\n"
    {
        /// Which cloud or source this is.
        zh "这是哪种云或指标来源。";
        KIND "kind": Kind::Only("\"sim\""), [required], "sim";
        /// Where all random draws come from: the same seed gives the same world.
        zh "所有随机数的来源：相同的种子得到相同的世界。";
        SEED "seed": Kind::Whole(0, i64::MAX as u64), [= 1], 7, in "none" "无";
        /// When the simulated clock starts.
        zh "模拟时钟从何时开始。";
        START "start": Kind::Shaped(Shape::MOMENT), [= "2026-03-02T00:00:00Z"], "2026-11-27T00:00:00Z";
        /// How long the simulation runs.
        zh "模拟运行多久。";
        DURATION "duration": Kind::Duration(Seconds::minutes(1), Seconds::days(366)), ["until it is stopped", "直到被停止"], "24h";
        /// How many times faster than real time its clock runs. `max` is as fast as the machine
        /// can.
        zh "时钟比真实时间快多少倍。`max` 表示机器能多快就多快。";
        SPEED "speed": Kind::Either(&[Kind::Only("\"max\""), Kind::Whole(1, 1_000_000)]), [= 1000], "max", in "times real time" "倍真实时间";
        /// The world to simulate.
        zh "要模拟的世界。";
        SCENARIO "scenario": Kind::Choice(&["day", "fourteen-nights", "outage", "launch", "rough-day", "fleet", "slow-start"]), [= "day"], "outage";
        /// Machines beside the groups, which may be idle.
        zh "组以外的机器数，它们可能闲置。";
        MACHINES "machines": Kind::Whole(0, 200_000), [= 0], 40, in "machines" "台机器";
    }
}
