// What runs, what became of the last change, and how it came to this.

import {diffView} from './diff.js';
import {h, setText} from './dom.js';
import {errorList} from './draft_panel.js';
import {NONE, ago, clock, plural, shortHash} from './format.js';

const SOURCES = {file: 'the file', last_known_good: 'the last good copy', none: 'nothing: no configuration yet'};
const RESULTS = {
    applied: 'applied', unchanged: 'unchanged: the same as before', rejected: 'rejected', rolled_back: 'rolled back',
};

export function createConfiguration({store, draft}) {
    const facts = h('dl', {class: 'facts'});
    const result = h('section', {class: 'panel', 'aria-labelledby': 'result-title', hidden: true});
    const text = h('div');
    const versions = h('div');
    const problem = h('p', {class: 'note bad', hidden: true});
    const heading = h('p', {class: 'row'},
        h('a', {class: 'button', href: '#/servers?text=1'}, 'Edit a copy'));
    const node = h('div', {}, problem,
        h('section', {class: 'panel', 'aria-labelledby': 'state-title'}, h('h2', {id: 'state-title'}, 'State'), facts),
        result,
        h('section', {class: 'panel', 'aria-labelledby': 'text-title'},
            h('div', {class: 'head'}, h('h2', {id: 'text-title'}, 'Running configuration'), heading), text),
        h('section', {class: 'panel', 'aria-labelledby': 'versions-title'}, h('h2', {id: 'versions-title'}, 'Versions'), versions));
    const shown = {};

    /** Rebuilds a part only when what it shows changed: it may be being read or copied from. */
    const refresh = (name, value, build) => {
        const signature = JSON.stringify(value);
        if (shown[name] !== signature) {
            shown[name] = signature;
            build();
        }
    };

    return {
        title: 'Configuration',
        node,
        update() {
            const {config, configError} = store.state;
            problem.hidden = !configError;
            setText(problem, `The configuration could not be read: ${configError?.message ?? ''}.` +
                             (config ? ' What you see is older.' : ''));
            if (!config) {
                return;
            }
            draft.follow(config);
            showFacts(facts, config, store.now());
            refresh('result', config.last_result, () => showResult(result, config));
            refresh('text', config.text, () => text.replaceChildren(config.text
                ? codeView(config.text, 'Text of the running configuration') : h('p', {class: 'empty'}, 'Nothing runs.')));
            refresh('versions', config.versions, () => versions.replaceChildren(versionsView(config.versions ?? [], draft)));
        },
    };
}

function showFacts(list, config, now) {
    const last = config.last_result;
    const facts = [
        ['File', `${config.path || NONE}${config.writable ? '' : ' (read-only here)'}`],
        ['Running', `generation ${config.generation}, from ${SOURCES[config.source] ?? config.source}`],
        ['Applied', config.applied ? `${clock(config.applied)}, ${ago(config.applied, now)}` : 'not yet'],
        ['Hash', shortHash(config.hash)],
        ['Last change', last ? `${RESULTS[last.result] ?? last.result}, ${clock(last.at)}` : 'none'],
    ];
    if (!list.childElementCount) {
        list.append(...facts.flatMap(([term]) => [h('dt', {}, term), h('dd')]));
    }
    facts.forEach(([, value], i) => setText(list.children[2 * i + 1], value));
}

/** Errors of the last change; with its text, when the server gives it, each leads to its line. */
function showResult(panel, config) {
    const last = config.last_result;
    const errors = last?.errors ?? [];
    panel.hidden = !last || (last.result !== 'rejected' && last.result !== 'rolled_back' && !errors.length);
    if (panel.hidden) {
        return;
    }
    const code = last.text ? codeView(last.text, 'Text of the rejected file', errors) : null;
    const goTo = code && ((line) => {
        const target = code.querySelector(`[data-n="${line}"]`);
        target?.scrollIntoView({block: 'center'});
        code.focus({preventScroll: true});
    });
    panel.dataset.level = 'bad';
    panel.replaceChildren(
        h('h2', {id: 'result-title'}, `The last change was ${RESULTS[last.result] ?? last.result}`),
        h('p', {}, errors.length ? `${plural(errors.length, 'error')} in the file as it was at ${clock(last.at)}. ` : '',
            config.source === 'none' ? 'Nothing runs.' : `Generation ${config.generation} keeps running.`),
        errorList(errors, goTo), ...(code ? [code] : []));
    if (code) {
        goToFirst(code, errors);
    }
}

function goToFirst(code, errors) {
    requestAnimationFrame(() => {
        const first = code.querySelector(`[data-n="${errors[0]?.line}"]`);
        if (first) {
            code.scrollTop = Math.max(0, first.offsetTop - code.offsetTop - 60);
        }
    });
}

/** Text with line numbers; lines with errors are marked and say what is wrong. */
function codeView(text, label, errors = []) {
    const wrong = Map.groupBy ? Map.groupBy(errors, (error) => error.line) : group(errors);
    return h('div', {class: 'code-box lines', role: 'region', tabindex: '0', 'aria-label': label},
        text.replace(/\n$/, '').split('\n').map((line, i) => {
            const own = wrong.get(i + 1) ?? [];
            return [
                h('div', {class: own.length ? 'line wrong' : 'line', 'data-n': i + 1}, line || ' '),
                own.map((error) => h('div', {class: 'said'}, `✕ ${error.message}${error.hint ? ` – ${error.hint}` : ''}`)),
            ];
        }));
}

function group(errors) {
    const groups = new Map();
    for (const error of errors) {
        groups.set(error.line, [...(groups.get(error.line) ?? []), error]);
    }
    return groups;
}

function versionsView(versions, draft) {
    if (!versions.length) {
        return h('p', {class: 'empty'}, 'No configuration was applied yet.');
    }
    const newest = [...versions].sort((a, b) => b.generation - a.generation);
    return h('ol', {class: 'versions'}, newest.map((version, i) => versionView(version, newest[i + 1], i === 0, draft)));
}

function versionView(version, previous, running, draft) {
    const body = h('div');
    const fill = () => {
        if (body.childElementCount) {
            return;
        }
        if (typeof version.text !== 'string') {
            body.append(h('p', {class: 'muted'}, 'Its text is no longer kept.'));
            return;
        }
        body.append(typeof previous?.text === 'string'
            ? diffView(previous.text, version.text, `Difference to generation ${previous.generation}`)
            : codeView(version.text, `Text of generation ${version.generation}`));
        if (!running) {
            body.append(h('a', {class: 'button', href: '#/servers?text=1', onclick: () => draft.ready && draft.set(version.text)},
                'Edit a copy of this version'));
        }
    };
    return h('li', {},
        h('div', {class: 'version-head'},
            h('strong', {}, `Generation ${version.generation}`), running ? h('span', {class: 'tag'}, 'running') : null,
            h('span', {class: 'muted'}, ` ${clock(version.applied)} · `, h('span', {class: 'mono'}, shortHash(version.hash)))),
        version.changes?.length ? h('ul', {class: 'changes'}, version.changes.map((change) => h('li', {}, change))) : null,
        h('details', {ontoggle: fill}, h('summary', {}, previous ? `Difference to generation ${previous.generation}` : 'Text'), body));
}
