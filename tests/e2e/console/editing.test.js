// The edited copy in Chromium against the mock: every action of the Servers screen and every refusal.

import assert from 'node:assert/strict';
import {describe, test} from 'node:test';

import {PHONE, assertAccessible, loaded, picture, text, until, untilText, useConsole} from './browser.js';
import {CONFIG, TOKEN} from './mock.js';

const {mock, open} = useConsole();

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
        await assertAccessible(page, 'draft on a phone');
        await edit.click();
        assert.equal(await page.getByLabel('Weight (0 to 1000)').inputValue(), '7');
        await page.getByRole('button', {name: 'Remove'}).click();
        await untilText(page, '#draft .changes', 'backend 10.0.0.2:8080 removed');
        assert.match(await page.getByRole('row', {name: /^10\.0\.0\.2:8080/}).innerText(), /to remove/);
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
        mock().world.config.text = CONFIG.replace('[10.0.1.1:9000, 10.0.1.2:9000', '[10.0.1.1:9000,\n      10.0.1.2:9000');
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
        mock().world.answer['/api/v1/config/check'] = [500, {error: 'checker broke'}];
        await area.press('End');
        await area.press('x');
        await untilText(page, '.verdict', 'Not checked: checker broke');
        delete mock().world.answer['/api/v1/config/check'];
        await page.getByRole('button', {name: 'Check again'}).click();
        await untilText(page, '.verdict', 'would refuse this');
    });

    test('copies YAML and commands', async () => {
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        const wanted = CONFIG.replace('- 10.0.0.1:8080 ', '- {address: 10.0.0.1:8080, state: drain} ');
        const copied = async () => {
            await page.getByRole('button', {name: /^Cop(y|ied ✓)$/}).click();
            await page.getByRole('button', {name: 'Copied ✓'}).waitFor();
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
        mock().scenario('writable');
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
        assert.match(mock().world.written, /- \{address: 10\.0\.0\.1:8080, state: drain\} +# oldest machine/);
        await until(page, 'the copy is what runs', () => document.querySelector('.draft-bar').hidden);
        await untilText(page, '.result', 'Written.');
        await page.getByRole('link', {name: 'Configuration'}).click();
        await untilText(page, '.versions', 'Generation 4');
    });

    test('does not undo what somebody else applied meanwhile', async () => {
        mock().scenario('writable');
        const page = await open('#/servers');
        await page.getByRole('button', {name: 'Drain 10.0.0.1:8080'}).click();
        await page.getByLabel('Admin token').fill(TOKEN);
        await untilText(page, '.verdict', 'Valid');
        // Between two questions of the page: the server refuses.
        mock().world.config.text = CONFIG.replace('5s', '9s');
        const apply = page.getByRole('button', {name: 'Apply'});
        await apply.click();
        await untilText(page, '.result', 'another configuration runs by now');
        mock().world.generation++;
        await untilText(page, '.note.warn', 'Another configuration was applied');
        assert.equal(await apply.isDisabled(), true);
        await picture(page, 'draft-outdated');
        assert.match(await text(page, '#draft .diff'), /interval: 9s/);
        await page.getByRole('button', {name: 'Keep my copy'}).click();
        await untilText(page, '.verdict', 'Valid');
        await apply.click();
        await untilText(page, '.result', 'Written.');
        assert.match(mock().world.written, /interval: 5s/);
    });

    test('shows the errors that the server found on writing', async () => {
        mock().scenario('writable');
        mock().world.answer['/api/v1/config/check'] = [200, {valid: true, errors: [], changes: []}];
        const page = await open('#/servers?text=1');
        await page.getByLabel('Configuration, edited copy').fill('metod: x\n');
        await page.getByLabel('Admin token').fill(TOKEN);
        await untilText(page, '.verdict', 'Valid');
        await page.getByRole('button', {name: 'Apply'}).click();
        await untilText(page, '.result', 'the configuration is invalid');
        await untilText(page, '#draft .errors', 'rproxy.yaml:1:1');
    });
});
