// The textual edits: what is written changes, everything else stays to the byte.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {EditError, addBackend, listBackends, removeBackend, setBackendField} from '../../../pkg/admin/console/yaml_edit.js';

const named = (name) => ({name, address: name});

const cases = [
    ['adds to a list in brackets', 'backends: [a:1, b:2]  # both\n', (t) => addBackend(t, 'default', {address: 'c:3'}), 'backends: [a:1, b:2, c:3]  # both\n'],
    ['adds a weight as a map', 'backends: [a:1]\n', (t) => addBackend(t, 'default', {address: 'c:3', weight: 5}), 'backends: [a:1, {address: c:3, weight: 5}]\n'],
    ['adds to a list of lines, before its trailing comment', 'backends:\n- a:1 # x\n# end\nmethod: random\n', (t) => addBackend(t, 'default', {address: 'b:2'}), 'backends:\n- a:1 # x\n- b:2\n# end\nmethod: random\n'],
    ['adds to a text, with its own separator', 'backends: "a:1; b:2"\n', (t) => addBackend(t, 'default', {address: 'c:3'}), 'backends: "a:1; b:2; c:3"\n'],
    ['adds to an unquoted text', 'backends: a:1 b:2 # two\n', (t) => addBackend(t, 'default', {address: 'c:3'}), 'backends: a:1 b:2 c:3 # two\n'],
    ['adds to an empty list', 'backends: []\n', (t) => addBackend(t, 'default', {address: 'c:3'}), 'backends: [c:3]\n'],
    ['adds to a key without a value', 'pools:\n  web:\n    backends:\n    method: random\n', (t) => addBackend(t, 'web', {address: 'c:3'}), 'pools:\n  web:\n    backends:\n      - c:3\n    method: random\n'],
    ['adds to a file without backends', '# mine\nmethod: random\n', (t) => addBackend(t, 'default', {address: 'c:3'}), '# mine\nmethod: random\nbackends: [c:3]\n'],
    ['adds to a pool without backends', 'pools:\n  web:\n    method: random\n', (t) => addBackend(t, 'web', {address: 'c:3'}), 'pools:\n  web:\n    backends: [c:3]\n    method: random\n'],
    ['quotes an address that YAML would read otherwise', 'backends:\n  - a:1\n', (t) => addBackend(t, 'default', {address: '[::1]:80'}), 'backends:\n  - a:1\n  - "[::1]:80"\n'],
    ['removes from brackets: first', 'backends: [a:1, b:2, c:3]\n', (t) => removeBackend(t, 'default', named('a:1')), 'backends: [b:2, c:3]\n'],
    ['removes from brackets: last', 'backends: [a:1, b:2, c:3]\n', (t) => removeBackend(t, 'default', named('c:3')), 'backends: [a:1, b:2]\n'],
    ['removes from a text', 'backends: "a:1, b:2, c:3"\n', (t) => removeBackend(t, 'default', named('b:2')), 'backends: "a:1, c:3"\n'],
    ['removes the only one of a text', 'backends: a:1\n', (t) => removeBackend(t, 'default', named('a:1')), 'backends: []\n'],
    ['removes a line and keeps its comment', 'backends:\n  # rack\n  - a:1  # old\n  - b:2\n', (t) => removeBackend(t, 'default', named('a:1')), 'backends:\n  # rack\n  # was a:1: old\n  - b:2\n'],
    ['removes the only line', 'backends: # all\n  - a:1\nmethod: random\n', (t) => removeBackend(t, 'default', named('a:1')), 'backends: [] # all\nmethod: random\n'],
    ['removes a map over several lines', 'backends:\n  - address: a:1\n    weight: 3\n\n  - b:2\n', (t) => removeBackend(t, 'default', named('a:1')), 'backends:\n\n  - b:2\n'],
    ['drains a line', 'backends:\n  - a:1  # old\n', (t) => setBackendField(t, 'default', named('a:1'), 'state', 'drain'), 'backends:\n  - {address: a:1, state: drain}  # old\n'],
    ['drains one of a text', 'backends: "a:1 b:2" # x\n', (t) => setBackendField(t, 'default', named('b:2'), 'state', 'drain'), 'backends: [a:1, {address: b:2, state: drain}] # x\n'],
    ['weighs a map in braces', 'backends:\n  - {address: a:1, name: "big one", weight: 3} # w\n', (t) => setBackendField(t, 'default', {name: 'big one', address: 'a:1'}, 'weight', 9), 'backends:\n  - {address: a:1, name: "big one", weight: 9} # w\n'],
    ['weighs a map of lines', 'backends:\n  - address: a:1\n    weight: 3   # heavy\n', (t) => setBackendField(t, 'default', named('a:1'), 'weight', 9), 'backends:\n  - address: a:1\n    weight: 9   # heavy\n'],
    ['takes a key of a map of lines away, not its comment', 'backends:\n  - address: a:1\n    state: drain   # disk\n    weight: 2\n', (t) => setBackendField(t, 'default', named('a:1'), 'state', null), 'backends:\n  - address: a:1\n    # disk\n    weight: 2\n'],
    ['keeps line ends of Windows', 'backends:\r\n  - a:1\r\n', (t) => addBackend(t, 'default', {address: 'b:2'}), 'backends:\r\n  - a:1\r\n  - b:2\r\n'],
    ['finds a quoted pool among others', 'pools:\n  api: {backends: [z:1]}\n  "web one":\n    backends: [a:1]\n', (t) => removeBackend(t, 'web one', named('a:1')), 'pools:\n  api: {backends: [z:1]}\n  "web one":\n    backends: []\n'],
    ['is not misled by a hash in quotes', 'backends: [{address: a:1, name: "a # b"}] # real\n', (t) => addBackend(t, 'default', {address: 'b:2'}), 'backends: [{address: a:1, name: "a # b"}, b:2] # real\n'],
];
for (const [name, before, edit, after] of cases) {
    test(`the edit ${name}`, () => assert.equal(edit(before), after));
}

const refused = [
    ['brackets over several lines', 'backends: [a:1,\n  b:2]\n', 'default'],
    ['an alias', 'x: &all [a:1]\nbackends: *all\n', 'default'],
    ['a block of text', 'backends: |\n  a:1\n  b:2\n', 'default'],
    ['a pool in braces', 'pools: {web: {backends: [a:1]}}\n', 'web'],
    ['an anchor in the list', 'backends:\n  - &one a:1\n', 'default'],
    ['nested maps in an entry', 'backends:\n  - address: a:1\n    extra:\n      deep: 1\n', 'default'],
    ['an unknown backend', 'backends: [b:2]\n', 'default'],
    ['tabs', 'pools:\n\tweb:\n', 'web'],
];
for (const [name, text, pool] of refused) {
    test(`the edit refuses ${name}`, () => assert.throws(() => removeBackend(text, pool, named('a:1')), EditError));
}

test('reads every form alike', () => {
    const expected = [{address: 'a:1', name: 'a:1', weight: 1, state: 'up'}, {address: 'b:2', name: 'b:2', weight: 1, state: 'up'}];
    for (const list of ['[a:1, b:2]', '["a:1", \'b:2\']', 'a:1, b:2', '"a:1;b:2"', '\n- a:1\n- b:2', '\n  - {address: a:1}\n  - address: b:2']) {
        assert.deepEqual(listBackends(`backends: ${list}\n`, 'default'), expected, list);
    }
});

test('a thousand backends are edited quickly', () => {
    const text = `backends:\n${Array.from({length: 1000}, (_, i) => `  - 10.0.${i >> 8}.${i & 255}:80`).join('\n')}\n`;
    const began = performance.now();
    const after = setBackendField(text, 'default', named('10.0.3.100:80'), 'weight', 7);
    assert.ok(performance.now() - began < 500);
    assert.equal(after.split('\n').filter((line, i) => line !== text.split('\n')[i]).join(), '  - {address: 10.0.3.100:80, weight: 7}');
});
