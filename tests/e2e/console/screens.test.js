// The screens in Chromium against the mock: what each shows, in every state of rproxy and of the line.

import assert from 'node:assert/strict';
import {describe, test} from 'node:test';

import {DESKTOP, PHONE, assertAccessible, loaded, picture, text, until, untilText, useConsole} from './browser.js';

const {mock, open} = useConsole();

describe('every screen', () => {
    const SCREENS = [['dashboard', 'Dashboard'], ['servers', 'Servers'], ['configuration', 'Configuration'], ['log', 'Server log']];
    for (const [device, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
        for (const colorScheme of ['light', 'dark']) {
            test(`is accessible and fits: ${device}, ${colorScheme}`, async () => {
                const page = await open('', {viewport, colorScheme});
                await untilText(page, '.tile .value', '/s');
                for (const [screen, title] of SCREENS) {
                    await page.getByRole('navigation').getByRole('link', {name: title}).click();
                    await page.getByRole('heading', {level: 1, name: title}).waitFor();
                    assert.equal(await page.title(), `${title} · rproxy`);
                    assert.equal(await page.locator('[aria-current]').innerText(), title);
                    await assertAccessible(page, screen);
                    await picture(page, `${screen}-${device}-${colorScheme}`);
                }
            });
        }
    }

    test('paints before any data came', async () => {
        mock().world.delay = 6000;
        const page = await open();
        // Long before the mock answers: a busy machine is slow, not wrong.
        await page.getByRole('heading', {level: 1, name: 'Dashboard'}).waitFor({timeout: 3500});
        await page.getByText('Asking rproxy…').waitFor({timeout: 3500});
        await picture(page, 'loading');
        await assertAccessible(page, 'loading');
    });
});

describe('dashboard', () => {
    test('shows rates computed from counters, and who is in trouble', async () => {
        const page = await open();
        await untilText(page, '.tile .value', '/s');
        const row = page.getByRole('row', {name: /^big/});
        await until(page, 'a rate near 180/s', () => {
            const cells = [...document.querySelectorAll('tr')].find((tr) => tr.innerText.startsWith('big'))?.cells;
            const value = parseFloat(cells?.[2].innerText);
            return value > 120 && value < 240;
        });
        assert.match(await row.innerText(), /1\.8 of 3/);
        assert.match(await page.getByRole('row', {name: /^10\.0\.0\.2:8080/}).innerText(), /down.*crashed 12m/s);
        assert.equal(await text(page, '.tiles .tile:nth-child(4) .value'), '4 of 7');
    });

    test('names pools that are all down, and leads to where others are named', async () => {
        mock().scenario('all_down');
        for (const [device, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
            const page = await open('', {viewport});
            await untilText(page, '#banners', 'Pool web: every server is down');
            await assertAccessible(page, 'all down');
            await picture(page, `all-down-${device}`);
            await page.getByRole('link', {name: 'Name other servers'}).click();
            await page.getByRole('heading', {level: 1, name: 'Servers'}).waitFor();
            assert.equal(await page.evaluate(() => document.activeElement.placeholder), '10.0.0.3:8080');
            assert.equal(await page.getByLabel('Pool', {exact: true}).last().inputValue(), 'web');
        }
    });

    test('that link works as the first page as well', async () => {
        const page = await open('#/servers?pool=api&add=1');
        await until(page, 'the field has the focus', () => document.activeElement.placeholder === '10.0.0.3:8080');
        assert.match(await text(page, '.toolbar'), /3 of 7 servers/);
    });

    test('does not show a negative rate when rproxy restarts', async () => {
        const page = await open();
        await untilText(page, '.tile .value', '/s');
        for (const backend of mock().world.pools.flatMap((pool) => pool.backends)) {
            backend.base = -backend.speed * (Date.now() / 1000 % 1e6);
        }
        mock().world.started = Date.now() / 1000;
        mock().world.events = [{at: Date.now() / 1000, kind: 'process', message: 'rproxy started again'}];
        await until(page, 'the restart is seen', () => /up \ds/.test(document.getElementById('summary').innerText));
        await page.waitForTimeout(2500);
        assert.doesNotMatch(await text(page, 'main'), /[-−]\d/);
        await page.getByRole('link', {name: 'Server log'}).click();
        await untilText(page, '.timeline', 'rproxy started again');
        assert.equal(await page.locator('.timeline li').count(), 1);
    });

    const STATES = [
        ['rejected', 'The file was rejected', 'Generation 3 keeps running'],
        ['last_known_good', 'Running on the last good configuration', 'is missing or invalid (2 errors)'],
        ['no_config', 'No configuration', 'Not ready'],
        ['draining', 'Draining', 'takes no new connections'],
        ['unready', 'Not ready', 'first health checks of pool web are not done'],
    ];
    for (const [scenario, ...words] of STATES) {
        test(`says when rproxy is ${scenario}`, async () => {
            mock().scenario(scenario);
            const page = await open();
            await loaded(page);
            for (const word of words) {
                await untilText(page, '#banners', word);
            }
            assert.equal((await text(page, '#banners')).includes('Draining'), scenario === 'draining');
            await assertAccessible(page, scenario);
            await picture(page, `dashboard-${scenario}`);
        });
    }

    test('says when there is nothing to show', async () => {
        mock().scenario('empty_pool');
        const page = await open();
        await page.getByText('This pool has no servers').waitFor();
        await page.getByRole('link', {name: 'Name some'}).click();
        await page.getByLabel(/^Addresses/).fill('10.9.9.9:80, 10.9.9.8:80');
        await page.getByRole('button', {name: 'Add', exact: true}).click();
        await untilText(page, '.verdict', 'Valid');
        assert.match(await text(page, '#draft .diff'), /backends: \[10\.9\.9\.9:80, 10\.9\.9\.8:80\]/);
        mock().scenario('no_config');
        await page.getByRole('link', {name: 'Dashboard'}).click();
        await page.getByText('No pool is configured').waitFor();
    });
});

describe('connection', () => {
    test('lost and found again', async () => {
        const page = await open();
        await untilText(page, '#connection', 'Live');
        mock().world.listening = false;
        await untilText(page, '#banners', 'Connection lost');
        await untilText(page, '#banners', 'What you see is from');
        await untilText(page, '#connection', 'Not connected');
        await assertAccessible(page, 'stale');
        await picture(page, 'stale');
        mock().world.listening = true;
        await until(page, 'the banner goes', () => document.getElementById('banners').innerText === '');
        await untilText(page, '#connection', 'Live');
    });

    test('never there', async () => {
        mock().world.answer['/api/v1/status'] = [503, {error: 'the workers do not turn'}];
        const page = await open();
        await untilText(page, '#main', 'rproxy does not answer: the workers do not turn');
        await assertAccessible(page, 'error');
        await picture(page, 'error');
    });

    test('one endpoint failing does not take the others along', async () => {
        mock().world.answer['/api/v1/config'] = [500, {error: 'config broke'}];
        mock().world.answer['/api/v1/events'] = [500, {error: 'events broke'}];
        const page = await open();
        await untilText(page, '.tile .value', '/s');
        await page.getByRole('link', {name: 'Configuration'}).click();
        await untilText(page, '#main', 'config broke');
        await page.getByRole('link', {name: 'Servers'}).click();
        await untilText(page, '#main', 'nothing can be edited: config broke');
        await page.getByRole('link', {name: 'Server log'}).click();
        await untilText(page, '#main', 'events broke');
    });

    test('pauses by the button and while the page is hidden', async () => {
        const page = await open();
        await untilText(page, '#connection', 'Live');
        let requests = 0;
        page.on('request', () => { requests++; });
        await page.getByRole('button', {name: 'Pause'}).click();
        await untilText(page, '#connection', 'Paused');
        await page.waitForTimeout(500);
        requests = 0;
        await page.waitForTimeout(2600);
        assert.equal(requests, 0);
        await page.getByRole('button', {name: 'Resume', exact: true}).first().click();
        await untilText(page, '#connection', 'Live');
        await page.evaluate(() => Object.defineProperty(document, 'hidden', {configurable: true, get: () => true}));
        await page.waitForTimeout(2600);
        requests = 0;
        await page.waitForTimeout(2600);
        assert.equal(requests, 0);
        await Promise.all([page.waitForRequest(/status/, {timeout: 1500}), page.evaluate(() => {
            delete document.hidden;
            document.dispatchEvent(new Event('visibilitychange'));
        })]);
    });
});

describe('configuration', () => {
    test('shows errors at their lines', async () => {
        mock().scenario('rejected');
        for (const [device, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
            const page = await open('#/configuration', {viewport});
            await untilText(page, '.panel[data-level="bad"]', 'The last change was rejected');
            assert.equal(await page.locator('.line.wrong').first().getAttribute('data-n'), '8');
            await untilText(page, '.panel[data-level="bad"] .code-box', "✕ unknown key – did you mean 'method'?");
            await page.getByRole('button', {name: 'rproxy.yaml:13:51'}).click();
            assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Text of the rejected file');
            await assertAccessible(page, 'rejected');
            await picture(page, `rejected-${device}`);
        }
    });

    test('shows versions, their difference, and edits a copy of an old one', async () => {
        const page = await open('#/configuration');
        await page.getByText('Difference to generation 2').click();
        await untilText(page, '.versions .diff', '10.0.0.2:8080');
        await page.getByText('Text', {exact: true}).click();
        await assertAccessible(page, 'versions');
        await picture(page, 'versions');
        await page.getByRole('link', {name: 'Edit a copy of this version'}).click();
        await untilText(page, '#draft .diff', 'interval: 10s');
        assert.equal(await page.getByLabel('Configuration, edited copy').isVisible(), true);
    });

    test('says when nothing runs', async () => {
        mock().scenario('no_config');
        const page = await open('#/configuration');
        await untilText(page, '#main', 'No configuration was applied yet');
        await untilText(page, '#main', 'cannot read the file');
        await picture(page, 'configuration-none');
    });
});

describe('server log', () => {
    test('has the promised columns, the latest crash first', async () => {
        const page = await open('#/log');
        await loaded(page);
        const heads = (await page.locator('thead th').allInnerTexts()).map((head) => head.trim());
        assert.deepEqual(heads, ['Host', 'Port', 'Pool', 'State', 'Connection count', 'Air time', 'Last connected', 'Last crashed']);
        const rows = await page.locator('tbody tr:not(.pad)').allInnerTexts();
        assert.match(rows[0], /^10\.0\.1\.2\s+9000\s.*http_status · 9 times$/s);
        assert.match(rows[1], /^10\.0\.0\.2\s.*12m \d+s ago · refused/s);
        assert.match(rows.at(-1), /17 \(3 open\).*1d 2h.*never$/s);
    });

    test('filters the timeline and grows with new events', async () => {
        const page = await open('#/log');
        const items = page.locator('.timeline li');
        await untilText(page, '.timeline', 'backend ejected');
        assert.equal(await items.count(), 5);
        await page.getByLabel('Kind').selectOption('config');
        assert.equal(await items.count(), 2);
        await page.getByLabel('Filter events').fill('nothing like this');
        await page.getByText('No event matches the filter.').waitFor();
        await page.getByLabel('Kind').selectOption('');
        await page.getByLabel('Filter events').fill('refused');
        assert.equal(await items.count(), 1);
        await page.getByLabel('Filter events').fill('');
        for (let i = 0; i < 150; i++) {
            mock().world.events.push({at: Date.now() / 1000, kind: 'process', message: `tick ${i}`});
        }
        await untilText(page, '.timeline', 'tick 149');
        assert.equal(await items.count(), 100);
        await page.getByRole('button', {name: 'Show older'}).click();
        assert.equal(await items.count(), 155);
    });
});

describe('failed and slow requests', () => {
    test('tell of each attempt, can be filtered, and stay open while time goes on', async () => {
        for (const [device, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
            const page = await open('#/log', {viewport});
            const items = page.locator('.flights > li');
            await until(page, 'three requests', () => document.querySelectorAll('.flights > li').length === 3);
            await items.first().locator('summary').click();
            assert.match(await items.first().innerText(), /10\.0\.0\.2:8080: connect failed after 900 µs/);
            assert.match(await items.first().innerText(), /backend connect failed/);
            await items.nth(1).locator('summary').click();
            assert.match(await items.nth(1).innerText(), /response timeout after 1\.5 s.*answered \(200\)/s);
            await assertAccessible(page, `requests ${device}`);
            await picture(page, `requests-${device}`);
            mock().world.requests.unshift({...mock().world.requests[2], time: Date.now() / 1000, path: '/new'});
            await until(page, 'the new one', () => document.querySelectorAll('.flights > li').length === 4);
            assert.equal(await page.locator('.flights details[open]').count(), 2);
            mock().world.requests.shift();
            await page.getByLabel('Which requests').selectOption('slow');
            await until(page, 'the slow ones', () => document.querySelector('.flights').innerText.includes('/export') &&
                !document.querySelector('.flights').innerText.includes('/cart'));
            await page.getByLabel('Filter requests').fill('nothing like it');
            await untilText(page, '#main', 'No request matches the filter.');
            await page.close();
        }
    });

    test('say what would be there while nothing is', async () => {
        mock().world.requests = [];
        const page = await open('#/log');
        await untilText(page, '#main', 'None failed, was retried, or waited longer than 1.0 s for its answer.');
    });
});

describe('a thousand servers', () => {
    test('scroll smoothly, with few rows in the document', async () => {
        mock().scenario('large');
        const page = await open('#/servers');
        await untilText(page, '.toolbar', '1,000 servers');
        const rows = page.locator('.table-box tbody tr:not(.pad)');
        assert.ok(await rows.count() < 80, `${await rows.count()} rows`);
        assert.equal(await page.getByRole('table', {name: 'Servers'}).getAttribute('aria-rowcount'), '1001');
        const frames = await page.evaluate(() => new Promise((resolve) => {
            const box = document.querySelector('.table-box');
            const times = [];
            let last = performance.now();
            const step = (now) => {
                times.push(now - last);
                last = now;
                box.scrollTop += 250;
                if (box.scrollTop + box.clientHeight < box.scrollHeight - 1 && times.length < 400) {
                    requestAnimationFrame(step);
                } else {
                    resolve(times.sort((a, b) => a - b));
                }
            };
            requestAnimationFrame(step);
        }));
        const median = frames[Math.floor(frames.length / 2)];
        console.log(`# scrolled 1,000 rows in ${frames.length} frames: median ${median.toFixed(1)} ms, p95 ${frames[Math.floor(frames.length * 0.95)].toFixed(1)} ms`);
        assert.ok(median < 50, `median frame ${median} ms`);
        await untilText(page, '.table-box', '10.2.3.250:8080');
        assert.equal(await rows.last().getAttribute('aria-rowindex'), '1001');
        await picture(page, 'servers-large');
        await page.locator('.table-box').focus();
        await page.keyboard.press('Home');
        await untilText(page, '.table-box', '10.2.0.1:8080');
    });

    test('the dashboard shows those in trouble and says how many more there are', async () => {
        mock().scenario('large');
        const page = await open();
        await untilText(page, '.more', 'See all 1,000');
        assert.equal(await page.locator('tbody tr').count(), 24);
        assert.match(await page.locator('tbody tr').first().innerText(), /down/);
        await assertAccessible(page, 'large dashboard');
        await picture(page, 'dashboard-large');
        await page.getByRole('link', {name: /See all/}).click();
        await untilText(page, '.toolbar', '1,000 servers');
    });
});

describe('people', () => {
    test('by keyboard: skip link, screens, focus', async () => {
        const page = await open();
        await loaded(page);
        await page.keyboard.press('Tab');
        assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Skip to the content');
        await page.keyboard.press('Enter');
        assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
        assert.doesNotMatch(page.url(), /#main/);
        await page.getByRole('link', {name: 'Server log'}).focus();
        await page.keyboard.press('Enter');
        await until(page, 'the heading has the focus', () => document.activeElement.tagName === 'H1');
        assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Server log');
    });

    test('a row keeps its focus and its place while the numbers change', async () => {
        const page = await open('#/servers');
        await untilText(page, '.toolbar', '7 servers');
        await page.getByRole('button', {name: 'Requests/s'}).click();
        const button = page.getByRole('button', {name: 'Edit 10.0.1.3:9000'});
        await button.focus();
        const index = () => page.evaluate(() => document.activeElement.closest('tr')?.rowIndex);
        const at = await index();
        for (const [i, backend] of mock().world.pools.flatMap((pool) => pool.backends).entries()) {
            backend.base += 40000 * (7 - i);
        }
        await page.waitForTimeout(4500);
        assert.equal(await index(), at);
    });

    test('choose a theme that stays', async () => {
        const page = await open('', {colorScheme: 'light'});
        const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const light = await background();
        await page.getByRole('button', {name: 'Theme: auto'}).click();
        await page.getByRole('button', {name: 'Theme: light'}).click();
        await page.getByRole('button', {name: 'Theme: dark'}).waitFor();
        const dark = await background();
        assert.notEqual(dark, light);
        await page.reload();
        assert.equal(await background(), dark);
        await page.getByRole('button', {name: 'Theme: dark'}).click();
        assert.equal(await background(), light);
    });

    test('who write HTML into names get text', async () => {
        mock().scenario('hostile');
        const page = await open();
        for (const screen of ['Dashboard', 'Servers', 'Configuration', 'Server log']) {
            await page.getByRole('navigation').getByRole('link', {name: screen}).click();
            await untilText(page, '#main', '<img src=x');
            assert.equal(await page.locator('img').count(), 0);
        }
    });
});
