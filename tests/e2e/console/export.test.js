// What is copied must arrive as it was: the commands are run by a real shell with a stand-in kubectl.
// And the diff that a person trusts must rebuild both of its sides.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {test} from 'node:test';

import {diffLines} from '../../../pkg/admin/console/diff.js';
import {kubectlCreate, kubectlPatch} from '../../../pkg/admin/console/draft.js';
import {CONFIG} from './mock.js';

const NASTY = `# it's "quoted" $HOME \`id\` \\ \\n !! é 日本\nRPROXY_END\nbackends: ['a:1']\n`;
const TARGET = {name: 'edge', namespace: "it's", key: 'rproxy.yaml'};

/** Runs the command with a kubectl that keeps its arguments and standard input. */
function run(command) {
    const folder = mkdtempSync(join(tmpdir(), 'kubectl-'));
    try {
        writeFileSync(join(folder, 'kubectl'), `#!/bin/sh
case "$1" in
apply) cat >/dev/null; exit;;
esac
for argument in "$@"; do printf '%s\\0' "$argument"; done >"${folder}/arguments"
case "$*" in *dev/stdin*) cat >"${folder}/input";; esac
`);
        chmodSync(join(folder, 'kubectl'), 0o755);
        execFileSync('sh', ['-c', command], {env: {PATH: `${folder}:${process.env.PATH}`, HOME: '/wrong'}, stdio: ['ignore', 'pipe', 'pipe']});
        let input = null;
        try {
            input = readFileSync(join(folder, 'input'), 'utf8');
        } catch {
            // The command gave none.
        }
        return {arguments: readFileSync(join(folder, 'arguments'), 'utf8').split('\0').slice(0, -1), input};
    } finally {
        rmSync(folder, {recursive: true});
    }
}

for (const [name, text] of [['an ordinary file', CONFIG], ['a nasty file', NASTY]]) {
    test(`kubectl patch carries ${name} unchanged`, () => {
        const {arguments: given} = run(kubectlPatch(text, TARGET));
        assert.deepEqual(given.slice(0, -1), ['patch', 'configmap', 'edge', '--namespace', "it's", '--type', 'merge', '--patch']);
        assert.deepEqual(JSON.parse(given.at(-1)), {data: {'rproxy.yaml': text}});
    });

    test(`kubectl create carries ${name} unchanged`, () => {
        const {arguments: given, input} = run(kubectlCreate(text, TARGET));
        assert.equal(input, text);
        assert.deepEqual(given, ['create', 'configmap', 'edge', '--namespace', "it's", '--from-file=rproxy.yaml=/dev/stdin',
            '--dry-run=client', '--output', 'yaml']);
    });
}

test('a diff rebuilds both sides, and is short', () => {
    const pairs = [['', ''], ['a', 'b'], ['a\nb\nc', 'a\nc'], ['a\nc', 'a\nb\nc'], ['x\na\nb', 'a\nb\ny'], [CONFIG, CONFIG.replaceAll('8080', '80')]];
    for (const [before, after] of pairs) {
        const lines = diffLines(before, after);
        assert.equal(lines.filter((line) => line.kind !== '+').map((line) => line.text).join('\n'), before);
        assert.equal(lines.filter((line) => line.kind !== '-').map((line) => line.text).join('\n'), after);
    }
    assert.deepEqual(diffLines('a\nb\nc', 'a\nx\nc').map((line) => line.kind).join(''), ' -+ ');
    assert.deepEqual(diffLines('a\nb\nc', 'a\nx\nc').filter((line) => line.kind === '+').map((line) => line.after), [2]);
});

test('a diff of long texts without a common line ends', () => {
    const text = (word) => Array.from({length: 4000}, (_, i) => `${word}${i}`).join('\n');
    const began = performance.now();
    assert.equal(diffLines(text('a'), text('b')).length, 8000);
    assert.ok(performance.now() - began < 5000);
});
