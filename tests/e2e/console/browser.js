// What the tests of the console share: the browser, a page that notices every mistake, axe, pictures.

import assert from 'node:assert/strict';
import {mkdirSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {after, afterEach, before, beforeEach} from 'node:test';
import {fileURLToPath} from 'node:url';

import {chromium} from 'playwright-core';

import {startMock} from './mock.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PICTURES = fileURLToPath(new URL('../../../out/console/', import.meta.url));
mkdirSync(PICTURES, {recursive: true});

export const DESKTOP = {width: 1280, height: 900};
export const PHONE = {width: 390, height: 844};

export function launch() {
    return chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync'],
    });
}

/**
 * A page of its own context. `mistakes()` lists what a reader never sees: errors in scripts, refusals
 * of the content security policy, requests to another origin.
 */
export async function openPage(browser, url, {viewport = DESKTOP, colorScheme = 'light', hash = '', scripts} = {}) {
    const context = await browser.newContext({viewport, colorScheme, permissions: ['clipboard-read', 'clipboard-write']});
    const page = await context.newPage();
    const mistakes = [];
    const origin = new URL(url).origin;
    page.on('pageerror', (error) => mistakes.push(error.stack));
    page.on('console', (message) => {
        // A failed request is logged by the browser itself; the tests that cause one look at the page.
        if (['error', 'warning'].includes(message.type()) && !message.text().startsWith('Failed to load resource')) {
            mistakes.push(message.text());
        }
    });
    page.on('request', (request) => {
        if (new URL(request.url()).origin !== origin) {
            mistakes.push(`request to ${request.url()}`);
        }
    });
    page.on('dialog', (dialog) => {
        mistakes.push(`dialog: ${dialog.message()}`);
        dialog.dismiss();
    });
    if (scripts) {
        await page.addInitScript(scripts);
    }
    await page.goto(url + hash);
    return {page, mistakes: () => mistakes, close: () => context.close()};
}

/** Everything axe finds at WCAG 2.2 AA and its best practices, as lines. */
async function axeFindings(page) {
    // Sent over the debugging protocol, so the page's own policy need not allow it.
    await page.evaluate(AXE);
    const {violations} = await page.evaluate(() => globalThis.axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }));
    return violations.map(({id, impact, help, nodes}) => `${impact} ${id}: ${help}: ${nodes.map((node) => node.html).slice(0, 3).join(' | ')}`);
}

export function picture(page, name) {
    return page.screenshot({path: `${PICTURES}${name}.png`, fullPage: true});
}

/** Whether something sticks out of the page sideways. */
function overflows(page) {
    return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}

/** Resolves when `condition`, run in the page, holds; the name is what the failure says. */
export async function until(page, name, condition, argument) {
    try {
        await page.waitForFunction(condition, argument, {timeout: 8000});
    } catch {
        assert.fail(`did not happen: ${name}`);
    }
}

/** Resolves when something visible that matches the selector holds the text. */
export function untilText(page, selector, wanted) {
    return until(page, `${selector} says ${wanted}`, ([s, w]) =>
        [...document.querySelectorAll(s)].some((node) => node.checkVisibility() && node.innerText.includes(w)), [selector, wanted]);
}

export const loaded = (page) => page.locator('main .loading').waitFor({state: 'hidden'});
export const text = (page, selector) => page.locator(selector).innerText();

export async function assertAccessible(page, name) {
    assert.deepEqual(await axeFindings(page), [], name);
    assert.equal(await overflows(page), false, `${name} sticks out sideways`);
}

/**
 * Gives the tests of a file one browser and one mock, which begins each test in its ordinary world.
 * A test fails when one of its pages made a mistake. Returns {mock(), open(hash, options) → page}.
 */
export function useConsole() {
    let browser;
    let mock;
    let opened;
    before(async () => {
        browser = await launch();
        mock = await startMock();
    });
    after(async () => {
        await browser?.close();
        await mock?.close();
    });
    beforeEach(() => {
        mock.scenario('ordinary');
        opened = [];
    });
    afterEach(async () => {
        for (const one of opened) {
            assert.deepEqual(one.mistakes(), []);
            await one.close();
        }
    });
    return {
        mock: () => mock,
        async open(hash = '', options = {}) {
            const one = await openPage(browser, mock.url, {...options, hash});
            opened.push(one);
            return one.page;
        },
    };
}
