// A browser's page with what the walk needs of it: keys, focus, measures, axe, and whatever it complains about.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
export const DESK = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
const SCHEMES = ["light", "dark"];

/** Ends the walk where something does not hold. */
export function must(holds, what) {
  if (!holds) throw new Error(what);
}

/** Opens a browser that asks for pages in `locale`, with more flags where there are any. */
export async function open(executablePath, locale, more = []) {
  const browser = await chromium.launch({ executablePath, args: [...FLAGS, ...more] });
  const context = await browser.newContext({ locale, viewport: DESK, colorScheme: "light" });
  return { browser, context };
}

/** A page under the site's own content-security policy. */
export class Eyes {
  constructor(page, base, pictures) {
    this.page = page;
    this.base = base;
    this.pictures = pictures;
    this.complaints = [];
    this.findings = [];
    this.views = [];
    page.setDefaultTimeout(30_000);
    page.on("pageerror", (error) => this.complaints.push(`error: ${error.message}`));
    page.on("console", (line) => {
      // A status of ours is told by the walk itself.
      const status = line.text().startsWith("Failed to load resource: the server responded");
      if (["error", "warning"].includes(line.type()) && !status) {
        this.complaints.push(`${line.type()}: ${line.text()}`);
      }
    });
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(base) && !url.startsWith("data:")) {
        this.complaints.push(`asked elsewhere: ${url}`);
      }
    });
  }

  async go(target, status = 200) {
    const reply = await this.page.goto(this.base + target);
    must(reply.status() === status, `${target}: ${reply.status()}, not ${status}`);
    return reply;
  }

  async text(selector = "main") {
    return await this.page.locator(selector).first().innerText();
  }

  async count(selector) {
    return await this.page.locator(selector).count();
  }

  path() {
    return this.page.url().slice(this.base.length);
  }

  /** Goes on by the Tab key until what a selector names has the focus, and sees it marked. */
  async tabTo(selector, most = 400) {
    for (let n = 0; n < most; n += 1) {
      await this.page.keyboard.press("Tab");
      const there = await this.page.evaluate((wanted) => {
        const at = document.activeElement;
        if (!at?.matches(wanted)) return null;
        const ringed = (style) =>
          style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
        const circle = at.querySelector("circle");
        const seen = circle
          ? parseFloat(getComputedStyle(circle).strokeWidth) >= 3
          : ringed(getComputedStyle(at));
        const box = at.getBoundingClientRect();
        const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0;
        return { seen, inside };
      }, selector);
      if (there) {
        must(there.seen, `${this.path()}: the focus on ${selector} cannot be seen`);
        must(there.inside, `${this.path()}: ${selector} has the focus outside of the window`);
        return;
      }
    }
    throw new Error(`${this.path()}: no way by Tab to ${selector}`);
  }

  /** Clicks on a link or button, and waits for the page that it leads to. */
  async follow(locator) {
    await Promise.all([this.page.waitForNavigation(), locator.first().click()]);
  }

  /** Presses Enter, and waits for the page that it leads to. */
  async enter() {
    await Promise.all([this.page.waitForNavigation(), this.page.keyboard.press("Enter")]);
  }

  /** What a visitor waits for, and how much comes. */
  async measure(target) {
    let bytes = 0;
    const add = async (reply) => {
      bytes += (await reply.body().catch(() => [])).length;
    };
    const replies = [];
    const listen = (reply) => replies.push(add(reply));
    this.page.on("response", listen);
    await this.go(target);
    await this.page.waitForLoadState("networkidle");
    this.page.off("response", listen);
    await Promise.all(replies);
    const times = await this.page.evaluate(() => {
      const [page] = performance.getEntriesByType("navigation");
      const [paint] = performance.getEntriesByName("first-contentful-paint");
      return {
        server_ms: Math.round(page.responseEnd - page.requestStart),
        interactive_ms: Math.round(page.domInteractive),
        first_paint_ms: Math.round(paint?.startTime ?? -1),
      };
    });
    return { target, kib: Math.round(bytes / 102.4) / 10, ...times };
  }

  /** Looks at the page that is open: in both colour schemes, on a desk and on a phone. */
  async look(name, language) {
    const { page } = this;
    const lang = await page.getAttribute("html", "lang");
    must(lang === (language === "zh" ? "zh-CN" : "en"), `${name}: lang="${lang}" in ${language}`);
    for (const viewport of [DESK, PHONE]) {
      await page.setViewportSize(viewport);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      must(beyond <= 0, `${name}: ${beyond} px wider than a window of ${viewport.width} px`);
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        // On a phone the colours are the same.
        if (viewport === DESK || colorScheme === "light") {
          await this.axe(`${name} ${language} ${colorScheme} ${viewport.width}`);
        }
        const path = `${this.pictures}/${name}-${language}-${colorScheme}-${viewport.width}.png`;
        await page.screenshot({ path, fullPage: true });
      }
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(DESK);
    this.views.push(name);
  }

  /** What axe finds that is serious or critical. */
  async axe(where) {
    // By the protocol, past the page's own policy, which stays in force for the page.
    await this.page.evaluate(AXE);
    const found = await this.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(({ id, impact, help, nodes }) => ({
        id,
        impact,
        help,
        nodes: nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary ?? ""}`),
      }));
    });
    for (const one of found) this.findings.push({ where, ...one });
  }
}
