// The console in Chromium against the mock: every screen, every action, every error.

import assert from 'node:assert/strict';
import {after, afterEach, before, beforeEach, describe, test} from 'node:test';

import {DESKTOP, PHONE, axeFindings, launch, openPage, overflows, picture} from './browser.js';
import {CONFIG, TOKEN, startMock} from './mock.js';

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

async function open(hash = '', options = {}) {
    const one = await openPage(browser, mock.url, {...options, hash});
    opened.push(one);
    return one.page;
}

const loaded = (page) => page.locator('main .loading').waitFor({state: 'hidden'});
const text = (page, selector) => page.locator(selector).innerText();

/** Resolves when `condition`, run in the page, holds; the name is what the failure says. */
async function until(page, name, condition, argument) {
    try {
        await page.waitForFunction(condition, argument, {timeout: 8000});
    } catch {
        assert.fail(`did not happen: ${name}`);
    }
}

const untilText = (page, selector, wanted) => until(page, `${selector} says ${wanted}`,
    ([s, w]) => [...document.querySelectorAll(s)].some((node) => node.checkVisibility() && node.innerText.includes(w)), [selector, wanted]);

async function assertAccessible(page, name) {
    assert.deepEqual(await axeFindings(page), [], name);
    assert.equal(await overflows(page), false, `${name} sticks out sideways`);
}

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
        mock.world.delay = 4000;
        const page = await open();
        await page.getByRole('heading', {level: 1, name: 'Dashboard'}).waitFor({timeout: 1500});
        await page.getByText('Asking rproxy…').waitFor({timeout: 1500});
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
        mock.scenario('all_down');
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
        for (const backend of mock.world.pools.flatMap((pool) => pool.backends)) {
            backend.base = -backend.speed * (Date.now() / 1000 % 1e6);
        }
        mock.world.started = Date.now() / 1000;
        mock.world.events = [{at: Date.now() / 1000, kind: 'process', message: 'rproxy started again'}];
        await until(page, 'the restart is seen', () => /up \ds/.test(document.getElementById('summary').innerText));
        await page.waitForTimeout(2500);
        assert.doesNotMatch(await text(page, 'main'), /[-−]\d/);
        await page.getByRole('link', {name: 'Server log'}).click();
        await untilText(page, '.timeline', 'rproxy started again');
        assert.equal(await page.locator('.timeline li').count(), 1);
    });

    const STATES = [
        ['rejected', 'The file was rejected', 'Generation 3 keeps running'],
        ['last_known_good', 'Running on the last good configuration', 'The file was rejected'],
        ['no_config', 'No configuration', 'Not ready'],
        ['draining', 'Draining', 'takes no new connections'],
        ['unready', 'Not ready', 'first health checks of pool web are not done'],
    ];
    for (const [scenario, ...words] of STATES) {
        test(`says when rproxy is ${scenario}`, async () => {
            mock.scenario(scenario);
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
        mock.scenario('empty_pool');
        const page = await open();
        await page.getByText('This pool has no servers').waitFor();
        await page.getByRole('link', {name: 'Name some'}).click();
        await page.getByLabel(/^Addresses/).fill('10.9.9.9:80, 10.9.9.8:80');
        await page.getByRole('button', {name: 'Add', exact: true}).click();
        await untilText(page, '.verdict', 'Valid');
        assert.match(await text(page, '#draft .diff'), /backends: \[10\.9\.9\.9:80, 10\.9\.9\.8:80\]/);
        mock.scenario('no_config');
        await page.getByRole('link', {name: 'Dashboard'}).click();
        await page.getByText('No pool is configured').waitFor();
    });
});

describe('connection', () => {
    test('lost and found again', async () => {
        const page = await open();
        await untilText(page, '#connection', 'Live');
        mock.world.listening = false;
        await untilText(page, '#banners', 'Connection lost');
        await untilText(page, '#banners', 'What you see is from');
        await untilText(page, '#connection', 'Not connected');
        await assertAccessible(page, 'stale');
        await picture(page, 'stale');
        mock.world.listening = true;
        await until(page, 'the banner goes', () => document.getElementById('banners').innerText === '');
        await untilText(page, '#connection', 'Live');
    });

    test('never there', async () => {
        mock.world.answer['/api/v1/status'] = [503, {error: 'the workers do not turn'}];
        const page = await open();
        await untilText(page, '#main', 'rproxy does not answer: the workers do not turn');
        await assertAccessible(page, 'error');
        await picture(page, 'error');
    });

    test('one endpoint failing does not take the others along', async () => {
        mock.world.answer['/api/v1/config'] = [500, {error: 'config broke'}];
        mock.world.answer['/api/v1/events'] = [500, {error: 'events broke'}];
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

describe('servers', () => {
    const names = (page) => page.locator('tbody .name').allInnerTexts();

    test('sorts and filters', async () => {
        const page = await open('#/servers');
        await untilText(page, '.toolbar', '7 servers');
        await page.mouse.move(0, 0);
        await page.getByRole('button', {name: 'Weight'}).click();
        assert.equal((await names(page))[0], 'big');
        assert.equal(await page.getByRole('columnheader', {name: 'Weight'}).getAttribute('aria-sort'), 'descending');
        await page.getByRole('button', {name: 'Weight'}).click();
        assert.equal((await names(page)).at(-1), 'big');
        await page.getByRole('button', {name: 'State'}).click();
        assert.deepEqual((await names(page)).slice(0, 2), ['10.0.0.2:8080', '10.0.1.2:9000']);
        await page.getByLabel('Filter by name or address').fill('10.0.1');
        assert.equal((await names(page)).length, 3);
        await page.getByLabel('State', {exact: true}).selectOption('ejected');
        assert.deepEqual(await names(page), ['10.0.1.2:9000']);
        await page.getByLabel('State', {exact: true}).selectOption('disabled');
        await page.getByText('No server matches the filter.').waitFor();
        await page.getByLabel('State', {exact: true}).selectOption('');
        await page.getByLabel('Filter by name or address').fill('10.0.0.3');  // The address of `big`.
        assert.deepEqual(await names(page), ['big']);
    });

    test('drains, resumes, and shows what would change', async () => {
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        await untilText(page, '.verdict', 'Valid');
        await untilText(page, '#draft .changes', 'pool web: backend 10.0.0.1:8080 changed');
        const diff = await text(page, '#draft .diff');
        assert.match(diff, /- \{address: 10\.0\.0\.1:8080, state: drain\} +# oldest machine/);
        assert.match(await page.getByRole('row', {name: /^10\.0\.0\.1:8080/}).innerText(), /to drain/);
        await assertAccessible(page, 'draft');
        await picture(page, 'draft-desktop-light');
        await page.getByRole('button', {name: 'Resume 10.0.0.4:8080'}).click();
        await untilText(page, '#draft .diff', '# disk is being replaced');
        await page.getByRole('button', {name: 'Discard'}).click();
        assert.equal(await page.locator('.draft-bar').isVisible(), false);
        assert.equal(await page.getByRole('button', {name: 'Resume 10.0.0.1:8080'}).count(), 0);
    });

    test('edits one server in a dialog, by keyboard', async () => {
        const page = await open('#/servers', {viewport: PHONE, colorScheme: 'dark'});
        const edit = page.getByRole('button', {name: 'Edit 10.0.0.2:8080'});
        await edit.focus();
        await page.keyboard.press('Enter');
        await untilText(page, 'dialog', 'connection refused');
        await untilText(page, 'dialog', '2 crashes since start');
        await assertAccessible(page, 'dialog');
        await picture(page, 'dialog-phone-dark');
        await page.keyboard.press('Escape');
        assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Edit 10.0.0.2:8080');
        await page.keyboard.press('Enter');
        await page.getByLabel('Weight (0 to 1000)').fill('7');
        await page.getByLabel('Disabled').check();
        await page.keyboard.press('Enter');
        await untilText(page, '#draft .diff', '- {address: 10.0.0.2:8080, state: disabled, weight: 7}');
        await picture(page, 'draft-phone-dark');
        assert.equal(await overflows(page), false);
        await edit.click();
        assert.equal(await page.getByLabel('Weight (0 to 1000)').inputValue(), '7');
        await page.getByRole('button', {name: 'Remove'}).click();
        await untilText(page, '#draft .changes', 'backend 10.0.0.2:8080 removed');
        assert.match(await page.getByRole('row', {name: /^10\.0\.0\.2:8080/}).innerText(), /to be removed/);
    });

    test('adds servers, with a weight', async () => {
        const page = await open('#/servers');
        await loaded(page);
        await page.getByLabel(/^Addresses/).fill('10.0.0.5:8080; [fd00::1]:8080');
        await page.getByLabel('Weight', {exact: true}).fill('4');
        await page.keyboard.press('Enter');
        await untilText(page, '#draft .changes', 'backend [fd00::1]:8080 added');
        assert.match(await text(page, '#draft .diff'), /- \{address: 10\.0\.0\.5:8080, weight: 4\}/);
        assert.match(await text(page, '#draft .diff'), /- \{address: "\[fd00::1\]:8080", weight: 4\}/);
        assert.equal(await page.getByLabel(/^Addresses/).inputValue(), '');
    });

    test('says what it cannot edit, and opens the text', async () => {
        mock.world.config.text = CONFIG.replace('[10.0.1.1:9000, 10.0.1.2:9000', '[10.0.1.1:9000,\n      10.0.1.2:9000');
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.1.1:9000'}).click();
        await page.getByText('Not done: the list goes over several lines').waitFor();
        assert.equal(await page.getByLabel('Configuration, edited copy').isVisible(), true);
        assert.equal(await page.locator('.draft-bar').isVisible(), false);
    });

    test('checks what is typed, and leads to each error', async () => {
        const page = await open('#/servers?text=1');
        const area = page.getByLabel('Configuration, edited copy');
        await area.fill(CONFIG.replace('method: peak', 'metod: peak'));
        await untilText(page, '.verdict', 'would refuse this: 1 error');
        await untilText(page, '#draft .errors', "did you mean 'method'?");
        assert.equal((await text(page, '.numbers .wrong')).trim(), '✕ 20');
        await picture(page, 'draft-invalid');
        await assertAccessible(page, 'invalid draft');
        await page.getByRole('button', {name: 'rproxy.yaml:20:5'}).click();
        const selected = await area.evaluate((node) => node.value.slice(node.selectionStart, node.selectionEnd));
        assert.equal(selected, 'metod: peak_ewma');
        mock.world.answer['/api/v1/config/check'] = [500, {error: 'checker broke'}];
        await area.press('End');
        await area.press('x');
        await untilText(page, '.verdict', 'Not checked: checker broke');
        delete mock.world.answer['/api/v1/config/check'];
        await page.getByRole('button', {name: 'Check again'}).click();
        await untilText(page, '.verdict', 'would refuse this');
    });

    test('copies YAML and commands', async () => {
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        const wanted = CONFIG.replace('- 10.0.0.1:8080 ', '- {address: 10.0.0.1:8080, state: drain} ');
        const copied = async () => {
            await page.getByRole('button', {name: 'Copy', exact: true}).click();
            await page.getByRole('button', {name: 'Copied ✓'}).waitFor();
            await page.getByRole('button', {name: 'Copy', exact: true}).waitFor();
            return page.evaluate(() => navigator.clipboard.readText());
        };
        assert.equal(await copied(), wanted);
        await page.getByLabel('kubectl patch').check();
        await page.getByLabel('Namespace').fill('shop');
        await page.getByLabel('ConfigMap', {exact: true}).fill('edge');
        const patch = await copied();
        assert.match(patch, /^kubectl patch configmap 'edge' --namespace 'shop'/);
        assert.deepEqual(JSON.parse(/--patch '(.*)'\n$/s.exec(patch)[1]), {data: {'rproxy.yaml': wanted}});
        await page.getByLabel('kubectl create').check();
        assert.match(await copied(), /kubectl create configmap 'edge'.*--dry-run=client.*RPROXY_END/s);
        await assertAccessible(page, 'export');
        await picture(page, 'export');
    });

    test('copies on plain HTTP too, where the clipboard interface is missing', async () => {
        const page = await open('#/servers', {scripts: () => Object.defineProperty(window, 'isSecureContext', {get: () => false})});
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        await page.getByRole('button', {name: 'Copy', exact: true}).click();
        await page.getByRole('button', {name: 'Copied ✓'}).waitFor();
        assert.match(await page.evaluate(() => navigator.clipboard.readText()), /state: drain\} /);
    });

    test('keeps the copy over a reload of the page', async () => {
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        await untilText(page, '.verdict', 'Valid');
        await page.reload();
        await untilText(page, '.verdict', 'Valid');
        await untilText(page, '#draft .diff', 'state: drain');
        await page.getByRole('button', {name: 'Discard'}).click();
        await page.reload();
        await loaded(page);
        assert.equal(await page.locator('.draft-bar').isVisible(), false);
    });
});

describe('applying', () => {
    test('is not offered where the file is read-only', async () => {
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        await untilText(page, '.apply', 'cannot be written here');
        assert.equal(await page.getByRole('button', {name: 'Apply'}).count(), 0);
    });

    test('needs a valid copy and the right token', async () => {
        mock.scenario('writable');
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        await untilText(page, '.verdict', 'Valid');
        const apply = page.getByRole('button', {name: 'Apply'});
        assert.equal(await apply.isDisabled(), true);
        await page.getByLabel('Admin token').fill('wrong');
        await apply.click();
        await untilText(page, '.result', 'Not applied: the token is wrong');
        await picture(page, 'apply-refused');
        await assertAccessible(page, 'apply');
        await page.getByLabel('Admin token').fill(TOKEN);
        await apply.click();
        await untilText(page, '.result', 'Written.');
        assert.match(mock.world.written, /- \{address: 10\.0\.0\.1:8080, state: drain\} +# oldest machine/);
        await until(page, 'the copy is what runs', () => document.querySelector('.draft-bar').hidden);
        await untilText(page, '.result', 'Written.');
        await page.getByRole('link', {name: 'Configuration'}).click();
        await untilText(page, '.versions', 'Generation 4');
    });

    test('does not undo what somebody else applied meanwhile', async () => {
        mock.scenario('writable');
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        await page.getByLabel('Admin token').fill(TOKEN);
        await untilText(page, '.verdict', 'Valid');
        // Between two questions of the page: the server refuses.
        mock.world.config.text = CONFIG.replace('5s', '9s');
        const apply = page.getByRole('button', {name: 'Apply'});
        await apply.click();
        await untilText(page, '.result', 'another configuration runs by now');
        mock.world.generation++;
        await untilText(page, '.note.warn', 'Another configuration was applied');
        assert.equal(await apply.isDisabled(), true);
        await picture(page, 'draft-outdated');
        assert.match(await text(page, '#draft .diff'), /interval: 9s/);
        await page.getByRole('button', {name: 'Keep my copy'}).click();
        await untilText(page, '.verdict', 'Valid');
        await apply.click();
        await untilText(page, '.result', 'Written.');
        assert.match(mock.world.written, /interval: 5s/);
    });

    test('shows the errors that the server found on writing', async () => {
        mock.scenario('writable');
        mock.world.answer['/api/v1/config/check'] = [200, {valid: true, errors: [], changes: []}];
        const page = await open('#/servers?text=1');
        await page.getByLabel('Configuration, edited copy').fill('metod: x\n');
        await page.getByLabel('Admin token').fill(TOKEN);
        await untilText(page, '.verdict', 'Valid');
        await page.getByRole('button', {name: 'Apply'}).click();
        await untilText(page, '.result', 'the configuration is invalid');
        await untilText(page, '#draft .errors', 'rproxy.yaml:1:1');
    });
});

describe('configuration', () => {
    test('shows errors at their lines', async () => {
        mock.scenario('rejected');
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
        mock.scenario('no_config');
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
            mock.world.events.push({at: Date.now() / 1000, kind: 'process', message: `tick ${i}`});
        }
        await untilText(page, '.timeline', 'tick 149');
        assert.equal(await items.count(), 100);
        await page.getByRole('button', {name: 'Show older'}).click();
        assert.equal(await items.count(), 155);
    });
});

describe('a thousand servers', () => {
    test('scroll smoothly, with few rows in the document', async () => {
        mock.scenario('large');
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
        assert.ok(median < 34, `median frame ${median} ms`);
        await untilText(page, '.table-box', '10.2.3.250:8080');
        assert.equal(await rows.last().getAttribute('aria-rowindex'), '1001');
        await picture(page, 'servers-large');
        await page.locator('.table-box').focus();
        await page.keyboard.press('Home');
        await untilText(page, '.table-box', '10.2.0.1:8080');
    });

    test('the dashboard shows those in trouble and says how many more there are', async () => {
        mock.scenario('large');
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
        for (const [i, backend] of mock.world.pools.flatMap((pool) => pool.backends).entries()) {
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
        mock.scenario('hostile');
        const page = await open();
        for (const screen of ['Dashboard', 'Servers', 'Configuration', 'Server log']) {
            await page.getByRole('navigation').getByRole('link', {name: screen}).click();
            await untilText(page, '#main', '<img src=x');
            assert.equal(await page.locator('img').count(), 0);
        }
    });
});
