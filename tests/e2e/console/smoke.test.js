// The console as the binary serves it, over a proxy that carries traffic: an operator's walk through a
// drained server, a killed one and a broken file. RPROXY names the binary; without one this is skipped.

import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';

import {assertAccessible, launch, openPage, picture, text, until, untilText} from './browser.js';

const RPROXY = process.env.RPROXY ?? fileURLToPath(new URL('../../../build/release/bin/rproxy', import.meta.url));
const skip = existsSync(RPROXY) ? false : `no ${RPROXY}`;
const TOKEN = 'smoke-token';
const MAX_BUNDLE = 100 * 1024;

let browser;
let rproxy;
let folder;
let admin;
let port;
let backends;
let output = '';

const listen = (server) => new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
});

/** A port that was free a moment ago. */
async function freePort() {
    const server = createServer();
    const found = await listen(server);
    await new Promise((resolve) => { server.close(resolve); });
    return found;
}

async function startBackend() {
    const server = createServer((request, response) => response.end('ok'));
    return {address: `127.0.0.1:${await listen(server)}`, stop: () => {
        server.closeAllConnections();
        return new Promise((resolve) => { server.close(resolve); });
    }};
}

const configuration = () => `# The smoke test of the console.
listeners:
  - {name: http, address: 127.0.0.1:${port}}
pools:
  web:
    backends:
      - ${backends[0].address}   # the first
      - ${backends[1].address}
    health_check: {interval: 500ms, timeout: 300ms}
`;

async function ready() {
    const deadline = Date.now() + 10000;
    while (Date.now() < deadline && rproxy.exitCode === null) {
        try {
            if ((await fetch(`${admin}readyz`)).ok) {
                return;
            }
        } catch {
            // Not listening yet.
        }
        await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    assert.fail(`rproxy does not become ready:\n${output}`);
}

/** Scripts and style sheets are minified where the build found esbuild; the rest is as it is written. */
function assertServes(served, file) {
    const source = readFileSync(new URL(`../../../pkg/admin/console/${file}`, import.meta.url), 'utf8');
    if (/\.(js|css)$/.test(file)) {
        assert.ok(served.length > 0 && served.length <= source.length, file);
    } else {
        assert.equal(served, source, file);
    }
}

before(async () => {
    if (skip) {
        return;
    }
    browser = await launch();
    folder = mkdtempSync(join(tmpdir(), 'rproxy-console-'));
    backends = [await startBackend(), await startBackend()];
    port = await freePort();
    const adminPort = await freePort();
    admin = `http://127.0.0.1:${adminPort}/`;
    writeFileSync(join(folder, 'rproxy.yaml'), configuration());
    writeFileSync(join(folder, 'token'), `${TOKEN}\n`);
    rproxy = spawn(RPROXY, ['serve', '--config', join(folder, 'rproxy.yaml'), '--admin', `127.0.0.1:${adminPort}`,
        '--admin-token-file', join(folder, 'token')], {stdio: ['ignore', 'pipe', 'pipe']});
    for (const stream of [rproxy.stdout, rproxy.stderr]) {
        stream.on('data', (bytes) => { output = (output + bytes).slice(-8000); });
    }
    await ready();
});
after(async () => {
    await browser?.close();
    if (rproxy && rproxy.exitCode === null) {
        const ended = new Promise((resolve) => { rproxy.once('exit', resolve); });
        rproxy.kill('SIGKILL');
        await ended;
    }
    await Promise.all((backends ?? []).map((backend) => backend.stop()));
    if (folder) {
        rmSync(folder, {recursive: true});
    }
});

test('the files are served small, strictly and once', {skip}, async () => {
    const page = await fetch(admin);
    const policy = page.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
    const html = await page.text();
    const files = ['', ...[...html.matchAll(/(?:href|src)="([\w.]+\.\w+)"/g)].map((match) => match[1])];
    let bundle = 0;
    let transferred = 0;
    for (const file of files) {
        const answer = await fetch(admin + file, {headers: {'Accept-Encoding': 'gzip'}});
        assert.equal(answer.status, 200, file);
        assert.equal(answer.headers.get('content-encoding'), 'gzip', file);
        const body = await answer.text();
        assertServes(body, file || 'index.html');
        bundle += Buffer.byteLength(body);
        transferred += Number(answer.headers.get('content-length'));
        const again = await fetch(admin + file, {headers: {'If-None-Match': answer.headers.get('etag')}});
        assert.equal(again.status, 304, file);
    }
    console.log(`# ${files.length} files, ${bundle} bytes, ${transferred} on the wire`);
    assert.ok(bundle < MAX_BUNDLE, `${bundle} bytes`);
});

test('an operator sees traffic, drains, meets a crash and a broken file', {skip}, async () => {
    const {page, mistakes, close} = await openPage(browser, admin);
    const traffic = setInterval(() => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text()).catch(() => {}), 20);
    try {
        await untilText(page, '#connection', 'Live');
        await until(page, 'both servers are up and have traffic', () => {
            const rows = [...document.querySelectorAll('.pool tbody tr')].map((row) => row.innerText);
            return rows.length === 2 && rows.every((row) => /up/.test(row) && /[1-9][\d.]*\/s/.test(row));
        });
        await assertAccessible(page, 'dashboard of the binary');
        await picture(page, 'smoke-dashboard');

        await page.getByRole('link', {name: 'Servers', exact: true}).click();
        await page.getByRole('button', {name: `Drain ${backends[0].address}`}).click();
        await untilText(page, '.verdict', 'Valid');
        assert.notEqual(await text(page, '#draft .changes'), '');
        await page.getByLabel('Admin token').fill(TOKEN);
        await page.getByRole('button', {name: 'Apply'}).click();
        await untilText(page, '.result', 'Written.');
        assert.match(readFileSync(join(folder, 'rproxy.yaml'), 'utf8'), /state: drain\} +# the first/);
        await untilText(page, '.table-box [data-state]', 'draining');
        await picture(page, 'smoke-servers');

        await page.locator('summary').getByText('Edit the text').click();
        await page.getByLabel('Configuration, edited copy').fill('pools:\n  web:\n    metod: random\n    backends: []\n');
        await untilText(page, '#draft .errors', ':3:');
        await untilText(page, '#draft .errors', 'method');
        await page.getByRole('button', {name: 'Discard'}).click();

        await backends[1].stop();
        await page.getByRole('link', {name: 'Dashboard'}).click();
        await untilText(page, '#banners', 'Pool web: every server is down');
        await picture(page, 'smoke-all-down');
        await page.getByRole('link', {name: 'Server log'}).click();
        await untilText(page, '.table-box', 'refused');
        await untilText(page, '.timeline', backends[1].address);

        writeFileSync(join(folder, 'rproxy.yaml'), 'pools:\n  web:\n    metod: random\n');
        await untilText(page, '#banners', 'The file was rejected');
        await page.getByRole('link', {name: 'Show the errors'}).click();
        await untilText(page, '.panel[data-level="bad"]', ':3:');
        await assertAccessible(page, 'configuration of the binary');
        await picture(page, 'smoke-rejected');
        assert.deepEqual(mistakes(), []);
    } finally {
        clearInterval(traffic);
        await close();
    }
});
