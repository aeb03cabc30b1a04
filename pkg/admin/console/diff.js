// Lines that differ between two texts (Myers, "An O(ND) Difference Algorithm", 1986).

import {h} from './dom.js';

const MAX_EDITS = 1500;  // Beyond this nobody reads a diff; memory grows with its square.

/** A list of {kind: ' ' | '-' | '+', text, before, after}; the numbers are of lines, from 1. */
export function diffLines(oldText, newText) {
    const a = oldText.split('\n');
    const b = newText.split('\n');
    let head = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) {
        head++;
    }
    let tail = 0;
    while (tail < a.length - head && tail < b.length - head &&
           a[a.length - 1 - tail] === b[b.length - 1 - tail]) {
        tail++;
    }
    const kinds = [' '.repeat(head), middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
                   ' '.repeat(tail)].join('');
    let i = 0;
    let j = 0;
    return [...kinds].map((kind) => {
        const text = kind === '+' ? b[j] : a[i];
        i += kind === '+' ? 0 : 1;
        j += kind === '-' ? 0 : 1;
        return {kind, text, before: kind === '+' ? null : i, after: kind === '-' ? null : j};
    });
}

function middle(a, b) {
    const trace = [];
    let reach = new Map([[1, 0]]);
    for (let d = 0; d <= Math.min(a.length + b.length, MAX_EDITS); d++) {
        trace.push(new Map(reach));
        for (let k = -d; k <= d; k += 2) {
            const down = k === -d || (k !== d && reach.get(k - 1) < reach.get(k + 1));
            let x = down ? reach.get(k + 1) : reach.get(k - 1) + 1;
            while (x < a.length && x - k < b.length && a[x] === b[x - k]) {
                x++;
            }
            reach.set(k, x);
            if (x >= a.length && x - k >= b.length) {
                return backtrack(trace, a.length, b.length);
            }
        }
    }
    return '-'.repeat(a.length) + '+'.repeat(b.length);
}

function backtrack(trace, x, y) {
    let kinds = '';
    for (let d = trace.length - 1; d >= 0; d--) {
        const reach = trace[d];
        const k = x - y;
        const down = k === -d || (k !== d && reach.get(k - 1) < reach.get(k + 1));
        const from = down ? k + 1 : k - 1;
        const fromX = reach.get(from);
        const fromY = fromX - from;
        while (x > fromX && y > fromY) {
            kinds += ' ';
            x--;
            y--;
        }
        if (d > 0) {
            kinds += down ? '+' : '-';
        }
        x = fromX;
        y = fromY;
    }
    return [...kinds].reverse().join('');
}

/** Runs of changed lines with `context` lines around them. */
function hunks(lines, context) {
    const groups = [];
    let last = -Infinity;
    lines.forEach((line, i) => {
        if (line.kind === ' ') {
            return;
        }
        const from = Math.max(0, i - context);
        if (from > last) {
            groups.push([]);
        }
        const group = groups[groups.length - 1];
        for (let n = Math.max(from, last); n < i; n++) {
            group.push(lines[n]);
        }
        group.push(line);
        last = i + 1;
        // The context after a change is added until the next change or the end of the context.
        while (last < lines.length && last <= i + context && lines[last].kind === ' ') {
            group.push(lines[last]);
            last++;
        }
    });
    return groups;
}

const SPOKEN = {'+': 'added: ', '-': 'removed: ', ' ': ''};

/** The diff as a table of lines, or a sentence when there is none. */
export function diffView(oldText, newText, label) {
    const lines = diffLines(oldText, newText);
    const groups = hunks(lines, 3);
    if (!groups.length) {
        return h('p', {class: 'muted'}, 'No difference.');
    }
    const added = lines.filter((line) => line.kind === '+').length;
    const removed = lines.filter((line) => line.kind === '-').length;
    const rows = groups.flatMap((group, n) => [
        n > 0 ? h('div', {class: 'gap', 'aria-hidden': 'true'}, '⋯') : null,
        ...group.map((line) => h('div', {class: 'diff-line', dataset: {kind: line.kind}},
            h('span', {class: 'number', 'aria-hidden': 'true', 'data-n': line.before ?? ''}),
            h('span', {class: 'number', 'aria-hidden': 'true', 'data-n': line.after ?? ''}),
            h('span', {class: 'sign', 'aria-hidden': 'true', 'data-n': line.kind}),
            h('span', {class: 'sr'}, SPOKEN[line.kind]),
            h('span', {class: 'code'}, line.text || ' '))),
    ]);
    return h('div', {class: 'diff'},
        h('p', {class: 'muted'}, `${label}: `, h('span', {class: 'added'}, `+${added}`), ' ',
            h('span', {class: 'removed'}, `−${removed}`), ' lines'),
        h('div', {class: 'code-box', role: 'region', 'aria-label': label, tabindex: '0'}, rows));
}
