// What a reviewer answers on a page over TLS: they sign in by the form, approve a stop, take a service
// back, and leave.
//
// It takes one argument, an object in JSON: `base`, `chromium`, `certificate`, `token`, `name` and
// `service`; and prints what it saw.

import { X509Certificate, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { must, open, Eyes } from "./page.mjs";

const { base, chromium, certificate, token, name, service } = JSON.parse(process.argv[2]);

/** The one key that the browser is told to take though no authority vouches for it. */
function pinned() {
  const { publicKey } = new X509Certificate(readFileSync(certificate));
  const key = publicKey.export({ type: "spki", format: "der" });
  return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`;
}

/** Asks again until a page has what is waited for. */
async function until(eyes, target, what, look) {
  const end = Date.now() + 120_000;
  for (;;) {
    const reply = await eyes.page.goto(base + target);
    if (reply.status() === 200 && (await look())) return;
    must(Date.now() < end, `${what}: it does not come about`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** What the browser says of the page that is open: how it is spoken to. */
async function spoken(page, reply) {
  const details = await reply.securityDetails();
  const protocol = await page.evaluate(
    () => performance.getEntriesByType("navigation")[0].nextHopProtocol,
  );
  const trusted = await page.evaluate(() => globalThis.isSecureContext);
  return { tls: details?.protocol ?? null, protocol, trusted };
}

async function signIn(eyes, with_token) {
  await eyes.page.fill("input[name=token]", with_token);
  await eyes.follow(eyes.page.locator("main form button"));
}

/** Who knows no such certificate is not let in by the browser. */
async function stranger() {
  const { browser, context } = await open(chromium, "en-GB");
  try {
    const page = await context.newPage();
    const refused = await page.goto(`${base}/`).then(
      () => null,
      (error) => error.message,
    );
    must(refused?.includes("ERR_CERT_AUTHORITY_INVALID"), `a certificate of nobody: ${refused}`);
  } finally {
    await browser.close();
  }
}

await stranger();
const { browser, context } = await open(chromium, "en-GB", [pinned()]);
try {
  const page = await context.newPage();
  const eyes = new Eyes(page, base, null);
  const forms = "main form[action='/answer']";
  await until(eyes, "/idle?only=waits", "a stop to approve", async () => {
    return (await eyes.count("main tbody code")) > 0;
  });
  must((await eyes.count(forms)) === 0, "nobody answers without a token");
  const id = (await page.locator("main tbody code").first().innerText()).trim();

  await eyes.follow(page.locator('header a[href^="/sign-in"]'));
  await signIn(eyes, "a token that nobody has");
  must((await eyes.count("[role=alert]")) === 1, "a wrong token is told of");
  must((await context.cookies()).every((cookie) => !cookie.name.includes("session")), "no session");
  await signIn(eyes, token);
  must(eyes.path() === "/idle?only=waits", `back to where it began, not ${eyes.path()}`);
  must((await eyes.text("header")).includes(name), "the name is shown");
  const session = (await context.cookies()).find((cookie) => cookie.name.includes("session"));
  const { secure, httpOnly, sameSite } = session ?? {};
  const scripts = await page.evaluate(() => document.cookie);
  must(!scripts.includes("session"), `a script may read ${scripts}`);

  await eyes.follow(page.locator(`form:has(input[value="${id}"]) button[value=approve]`));
  must((await eyes.text()).includes(name), "the approval is taken under the name");

  const reply = await eyes.go("/review");
  const how = await spoken(page, reply);
  const line = page.locator("#scorecards ~ * tbody tr", { hasText: service });
  await eyes.follow(line.locator("button[value=demote]"));
  const taken = await eyes.text();
  must(taken.includes(name) && taken.includes(service), `the demotion is taken: ${taken}`);
  await until(eyes, "/review", "the service is in shadow", async () => {
    const stage = await line.locator("td.text").innerText();
    return stage.includes("shadow") && stage.includes(`demoted by ${name}`);
  });
  must((await line.locator("button[value=demote]").count()) === 0, "nothing is left to demote");

  await eyes.follow(page.locator("header form[action='/sign-out'] button"));
  must(!(await eyes.text("header")).includes(name), "the name is gone");
  await eyes.go("/review");
  must((await eyes.count(forms)) === 0, "who has left answers no more");
  const { complaints } = eyes;
  console.log(JSON.stringify({ id, how, session: { secure, httpOnly, sameSite }, complaints }));
} finally {
  await browser.close();
}
