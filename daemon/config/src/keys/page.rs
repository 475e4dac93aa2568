//! The keys of the review page.

use super::{Key, Kind, Preset, Rule, Section, Shape};
use super::{example, preset, sections};

sections! {
    /// The review page, with `/metrics`, `/healthz` and `/readyz`.
    zh "审阅页面，以及 `/metrics`、`/healthz` 和 `/readyz`。";
    page "`[page]`" at ["page"]
    rules [Rule::Together(&[&CERTIFICATE_FILE, &KEY_FILE])]
    example "[page]\nlisten = \"127.0.0.1:7317\"\n"
    {
        /// Where it listens. On an address other than loopback it needs a certificate. Changing it
        /// needs a restart.
        zh "监听地址。非回环地址需要证书。修改后需要重启。";
        LISTEN "listen": Kind::Shaped(Shape::LISTEN), [required], "127.0.0.1:7317";
        /// The names that it may be asked by, besides its address and `localhost`. Name the host
        /// of a reverse proxy here.
        zh "除监听地址和 `localhost` 外，允许用哪些主机名访问。使用反向代理时在此列出其主机名。";
        HOSTS "hosts": Kind::List(&Kind::Shaped(Shape::HOST)), ["none", "没有"], ["neap.example.com"];
        /// The certificate chain, in PEM.
        zh "证书链（PEM）。";
        CERTIFICATE_FILE "certificate_file": Kind::Path, ["no TLS, on loopback only", "不用 TLS，仅限回环地址"], "neap.pem";
        /// The private key, in PEM.
        zh "私钥（PEM）。";
        KEY_FILE "key_file": Kind::Path, ["no TLS, on loopback only", "不用 TLS，仅限回环地址"], "neap.key";
        /// `open`: whoever reaches the page may look. `token`: only people with a token, or with a
        /// name from the proxy.
        zh "`open`：能访问页面的人都可查看。`token`：仅限持有令牌者，或由代理告知身份者。";
        VIEWING "viewing": Kind::Choice(&["open", "token"]), ["`open` on loopback, else `token`", "回环地址为 `open`，否则为 `token`"], "token";
        /// Who may do what, by a token.
        zh "谁凭令牌可以做什么。";
        TOKEN "token": Kind::Tables(&[&token::SECTION]), ["none", "没有"], _;
        /// A reverse proxy that has people sign in and says who they are.
        zh "让人登录并告知其身份的反向代理。";
        PROXY "proxy": Kind::Table(&proxy::SECTION), ["none", "没有"], _;
    }

    /// A token of the page. Whoever shows it is taken for the person it is named after.
    zh "页面的令牌。出示令牌者即被视为令牌所属的人。";
    token "`[[page.token]]`" at ["page", "token"]
    example "[page]\nlisten = \"127.0.0.1:7317\"\n\n[[page.token]]\nname = \"li.wei\"\nright = \"approve\"\ntoken_file = \"/etc/neap/li.token\"\n"
    {
        /// Whose it is, as the journal records it.
        zh "令牌属于谁，日志库如此记录。";
        NAME "name": Kind::Shaped(Shape::PERSON), [required], "li.wei";
        /// `view` sees everything. `approve` may also approve, reject, exempt, promote and demote.
        zh "`view` 可查看一切。`approve` 还可批准、拒绝、豁免、提升和降级。";
        RIGHT "right": Kind::Choice(&["view", "approve"]), [required], "approve";
        /// The file that holds the token. Nobody else should be able to read it.
        zh "令牌所在文件，不应让其他人读取。";
        TOKEN_FILE "token_file": Kind::Path, [required], "/etc/neap/li.token";
    }

    /// A reverse proxy that has people sign in.
    zh "让人登录的反向代理。";
    proxy "`[page.proxy]`" at ["page", "proxy"]
    example "[page]\nlisten = \"127.0.0.1:7317\"\n\n[page.proxy]\nheader = \"x-forwarded-user\"\nsecret_file = \"/etc/neap/proxy.secret\"\napprovers = [\"li.wei\"]\n"
    {
        /// The header that holds the person's name.
        zh "含有人名的 HTTP 头。";
        HEADER "header": Kind::Shaped(Shape::HEADER), [required], "x-forwarded-user";
        /// A file that holds what the proxy sends as `x-neap-proxy-secret`, so that nobody else can
        /// claim to be somebody.
        zh "该文件含有代理以 `x-neap-proxy-secret` 发送的内容，以免他人冒名。";
        SECRET_FILE "secret_file": Kind::Path, [required], "/etc/neap/proxy.secret";
        /// The names that may approve. All others may look.
        zh "可以批准的人。其他人只能查看。";
        APPROVERS "approvers": Kind::List(&Kind::Shaped(Shape::PERSON)), ["nobody", "没有人"], ["li.wei"];
    }
}
