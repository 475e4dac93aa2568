// A reviewer's way through the page, in one language, from the fleet to a stop that they agreed to.
//
// It takes one argument, an object in JSON: `base`, `chromium`, `language`, `token`, `name` and
// `pictures`; and prints what it measured and found.

import { must, open, Eyes } from "./page.mjs";

const { base, chromium, language, token, name, pictures } = JSON.parse(process.argv[2]);
const CHINESE = /[\u4e00-\u9fff]/;
/** How the page words what is waited for. */
const SAID = {
  en: { agreed: "agreed to a stop", taken: "stop taken", stopped: /stage\s+stopped/, approves: "approves" },
  zh: { agreed: "批准停机", taken: "停机已受理", stopped: /阶段\s+自 \S+ 起已停机/, approves: "批准" },
}[language];

/** Waits until something is so. */
async function until(what, look) {
  const end = Date.now() + 120_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    must(Date.now() < end, `${what}: it does not come about`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The fleet comes up in the browser's own language, the other one; the switch leads to ours. */
async function fleet(eyes) {
  await eyes.go("/");
  must(CHINESE.test(await eyes.text("h1")) !== (language === "zh"), "the browser's own language");
  await eyes.follow(eyes.page.locator(`header a[hreflang="${language}"]`));
  must(CHINESE.test(await eyes.text("h1")) === (language === "zh"), "the language that was chosen");
  must((await eyes.count("main tbody tr")) >= 4, "a line for each service");
  must((await eyes.count("main tbody tr.look")) >= 1, "one that wants a look");
  await eyes.look("fleet", language);

  // The first stop of the Tab key leads past the header.
  await eyes.go("/");
  await eyes.tabTo("a.skip", 1);
  await eyes.page.keyboard.press("Enter");
  await eyes.tabTo("main *", 1);

  // The first line is the one that wants a look.
  const first = eyes.page.locator("main tbody tr").first();
  must(/look/.test(await first.getAttribute("class")), "what wants a look comes first");
  await eyes.follow(first.locator("th a"));
  must(eyes.path().startsWith("/service/"), `a service, not ${eyes.path()}`);
  await eyes.look("service-to-look-at", language);
}

/** The review leads to the service with the worst decision, and to its story. */
async function review(eyes) {
  const doubted = "section[aria-labelledby=questionable] tbody tr";
  await until("a decision in doubt", async () => {
    await eyes.go("/");
    await eyes.follow(eyes.page.locator('nav a[href$="/review"]'));
    return (await eyes.count(doubted)) > 0;
  });
  must((await eyes.count("table.compare tbody tr")) >= 4, "what it would have done, in numbers");
  await eyes.look("review", language);
  const worst = eyes.page.locator(doubted).first();
  const here = eyes.path();
  const name = await worst.locator("th").innerText();
  const story = await worst.locator('a[href^="/decision/"]').getAttribute("href");
  const at = await worst.locator('a[href^="/decision/"]').innerText();
  await eyes.follow(worst.locator("th a"));
  must((await eyes.text("h1")).includes(name), `the service ${name}`);
  await eyes.look("worst-service", language);
  await eyes.go(here);
  await eyes.follow(eyes.page.locator(`${doubted} a[href="${story}"]`));
  must((await eyes.text()).includes(at.trim()), `the story of ${name} at ${at}`);
  must((await eyes.count("dl.story > div")) >= 3, "the story of the worst decision has its parts");
  await eyes.look("worst-decision", language);
}

/** Asks what a larger budget of violations would have saved. */
async function whatIf(eyes) {
  await eyes.go("/service/checkout");
  await eyes.follow(eyes.page.locator('main a[href^="/what-if?service="]'));
  const before = await eyes.page.inputValue("input[name=budget_percent]");
  must(before === "0.5", `the form shows what is in force, not ${before}`);
  await eyes.page.fill("input[name=budget_percent]", "10");
  await eyes.page.fill("input[name=lead_seconds]", "600");
  await eyes.follow(eyes.page.locator("main form button"));
  must((await eyes.page.inputValue("input[name=budget_percent]")) === "10", "what was asked stays");
  must((await eyes.count("table.compare tbody tr")) >= 2, "recorded and replayed, side by side");
  await eyes.look("what-if", language);
}

/** The day of a service, and the story of a decision: from the table, and from the chart. */
async function service(eyes) {
  const here = await until("a mark on a chart", async () => {
    await eyes.go("/");
    const decided = eyes.page.locator('main tbody tr:has(td a[href^="/decision/"]) th a');
    for (const href of await decided.evaluateAll((all) => all.map((a) => a.getAttribute("href")))) {
      await eyes.go(href);
      if ((await eyes.count("svg a")) > 0) return href;
    }
  });
  must((await eyes.count("figure svg")) === 2, "two charts");
  await eyes.look("service", language);
  await eyes.follow(eyes.page.locator('main table a[href^="/decision/"]'));
  must((await eyes.count("dl.story > div")) >= 5, "the story has its parts");
  await eyes.page.locator("details summary").click();
  must((await eyes.text("details pre")).includes("{"), "with all that it was decided from");
  await eyes.page.locator("details summary").click();
  await eyes.look("decision", language);
  await eyes.go(here);
  await eyes.tabTo("svg a");
  const label = await eyes.page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  await eyes.enter();
  must(eyes.path().startsWith("/decision/"), `a decision, not ${eyes.path()}`);
  const at = label.split(" ")[0];
  must((await eyes.text()).includes(at), `the story of ${label}`);
}

/** Signs in and agrees to a stop, by the keyboard alone; then it happens, under the name. */
async function approve(eyes) {
  const { page } = eyes;
  await eyes.go("/idle?only=waits");
  const since = await page.getAttribute("main time", "datetime");
  must((await eyes.count("main form[method=post]")) === 0, "nobody answers without a token");
  const id = (await page.locator("main tbody code").first().innerText()).trim();
  await eyes.look("idle", language);
  await eyes.go("/idle?only=waits");
  await eyes.tabTo('header a[href^="/sign-in"]');
  await eyes.enter();
  await eyes.tabTo("input[name=token]");
  await page.keyboard.type("a token that nobody has");
  await eyes.enter();
  must((await eyes.count("[role=alert]")) === 1, "a wrong token is told of");
  await eyes.look("sign-in-again", language);
  await eyes.tabTo("input[name=token]");
  await page.keyboard.type(token);
  await eyes.enter();
  must(eyes.path() === "/idle?only=waits", `back to where it began, not ${eyes.path()}`);
  must((await eyes.text("header")).includes(name), "the name is shown");
  await eyes.look("idle-signed-in", language);

  const row = page.locator(`main tbody tr:has(input[value="${id}"])`);
  const story = await row.locator("th a").getAttribute("href");
  await eyes.tabTo(`form:has(input[value="${id}"]) button[value=approve]`);
  await eyes.enter();
  const taken = await eyes.text();
  must(taken.includes(name), `it is taken under the name: ${taken}`);
  await eyes.look("taken", language);

  await until("the stop", async () => {
    await eyes.go(story);
    const told = await eyes.text();
    return told.includes(`${name} ${SAID.agreed}`) && told.includes(SAID.taken);
  });
  await until("that it is seen stopped", async () => {
    await eyes.go(story);
    return SAID.stopped.test(await eyes.text());
  });
  must(!(await eyes.text()).includes(id), "it waits for nothing any more");
  await eyes.look("resource", language);

  await eyes.go(`/journal?kind=idle&since=${since}&service=${name}`);
  must((await eyes.text()).includes(`${name} ${SAID.approves} ${id}`), "the journal has it, with the name");
  await eyes.look("journal", language);
  const line = page.locator("main tbody tr", { hasText: `${SAID.approves} ${id}` }).first();
  await eyes.follow(line.locator("a"));
  must((await eyes.text("pre")).includes(name), "so does its record");
  await eyes.look("record", language);
  return { id, story };
}

const { browser, context } = await open(chromium, language === "zh" ? "en-GB" : "zh-CN");
try {
  const eyes = new Eyes(await context.newPage(), base, pictures);
  const measured = [];
  for (const target of ["/", "/service/checkout", "/review", "/idle?only=all", "/journal"]) {
    measured.push(await eyes.measure(target));
  }
  await fleet(eyes);
  await review(eyes);
  await service(eyes);
  await whatIf(eyes);
  const approved = await approve(eyes);
  await eyes.go("/service/none-of-this-name", 404);
  await eyes.look("absent", language);
  const { complaints, findings, views } = eyes;
  console.log(JSON.stringify({ approved, complaints, findings, measured, views }));
} finally {
  await browser.close();
}
