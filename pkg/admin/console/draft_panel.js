// The edited copy on the screen: what it changes, the text itself, and the ways to make it real.

import {writeConfig} from './api.js';
import {diffView} from './diff.js';
import {announce, copyText, h, setAttribute, setText} from './dom.js';
import {kubectlCreate, kubectlPatch} from './draft.js';
import {plural} from './format.js';

const FORMATS = [
    {id: 'yaml', label: 'YAML', make: (text) => text},
    {id: 'patch', label: 'kubectl patch', make: kubectlPatch},
    {id: 'create', label: 'kubectl create', make: kubectlCreate},
];

/** Lines of errors, as a list; with `goTo(line, column)` each leads to its place. */
export function errorList(errors, goTo) {
    return h('ul', {class: 'errors'}, errors.map((error) => {
        const place = `${error.file ? `${error.file}:` : 'line '}${error.line}:${error.column}`;
        return h('li', {},
            goTo ? h('button', {type: 'button', class: 'link mono', onclick: () => goTo(error.line, error.column)}, place)
                 : h('span', {class: 'mono'}, place),
            error.path ? [' ', h('code', {}, error.path)] : null,
            ` ${error.message}`,
            error.hint ? h('span', {class: 'hint'}, ` – ${error.hint}`) : null);
    }));
}

/** A text area with line numbers; `mark(lines)` colours the numbers of the lines with errors. */
function textEditor(label, oninput) {
    const numbers = h('pre', {class: 'numbers', 'aria-hidden': 'true'});
    const area = h('textarea', {
        class: 'code', spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', wrap: 'off',
        'aria-label': label, oninput: () => { number(); oninput(area.value); },
        onscroll: () => { numbers.scrollTop = area.scrollTop; },
    });
    let marked = new Set();
    let shown = '';
    const number = () => {
        const count = area.value.split('\n').length;
        const signature = `${count} ${[...marked].join()}`;
        if (signature !== shown) {
            shown = signature;
            numbers.replaceChildren(...Array.from({length: count}, (_, i) =>
                h('span', marked.has(i + 1) ? {class: 'wrong'} : {}, `${marked.has(i + 1) ? '✕ ' : ''}${i + 1}\n`)));
            numbers.scrollTop = area.scrollTop;
        }
    };
    return {
        node: h('div', {class: 'editor'}, numbers, area),
        area,
        setText(text) {
            if (area.value !== text) {
                area.value = text;
            }
            number();
        },
        mark(lines) { marked = new Set(lines); number(); },
        goTo(line, column) {
            const before = area.value.split('\n').slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
            const end = area.value.indexOf('\n', before);
            area.focus();
            area.setSelectionRange(before + Math.max(0, column - 1), end < 0 ? area.value.length : end);
            const height = area.scrollHeight / area.value.split('\n').length;
            area.scrollTop = Math.max(0, (line - 4) * height);
        },
    };
}

function remembered(key, fallback) {
    try {
        return localStorage.getItem(key) ?? fallback;
    } catch {
        return fallback;
    }
}

function remember(key, value) {
    try {
        localStorage.setItem(key, value);
    } catch {
        // It is asked again next time.
    }
}

export class DraftPanel {
    #draft;
    #store;
    #verdict = h('div', {class: 'verdict', role: 'status'});
    #changes = h('div');
    #difference = h('div');
    #outdated;
    #editor;
    #export;
    #apply;
    #bar;
    #body;
    #ways;
    #token = '';
    #result = h('p', {class: 'result', role: 'status'});
    #shown = {};

    constructor(draft, store) {
        this.#draft = draft;
        this.#store = store;
        this.#editor = textEditor('Configuration, edited copy', (text) => draft.set(text));
        this.#export = this.#makeExport();
        this.#apply = this.#makeApply();
        this.#outdated = h('div', {class: 'note warn', hidden: true},
            h('p', {}, h('strong', {}, 'Another configuration was applied since you began. '),
                'The difference below is against what runs now: applying your copy would undo what others changed.'),
            h('button', {type: 'button', onclick: () => draft.discard()}, 'Start again from what runs'), ' ',
            h('button', {type: 'button', onclick: () => draft.keepMine()}, 'Keep my copy'));
        this.#body = h('div', {class: 'draft-body', hidden: true},
            this.#outdated, this.#verdict, this.#changes, this.#difference);
        this.#ways = h('div', {class: 'draft-body', hidden: true}, this.#export.node, this.#apply.node);
        this.#bar = this.#makeBar();
        this.node = h('section', {id: 'draft', class: 'panel', 'aria-labelledby': 'draft-title'},
            h('h2', {id: 'draft-title', tabindex: '-1'}, 'Your edited copy'),
            h('p', {class: 'muted'}, 'Nothing here reaches rproxy until you apply it, or change the file it reads.'),
            this.#result, this.#body,
            h('details', {class: 'text', ontoggle: () => this.update()}, h('summary', {}, 'Edit the text'), this.#editor.node),
            this.#ways, this.#bar.node);
    }

    /** Opens the text, for what the buttons cannot do. */
    openText() {
        this.node.querySelector('details.text').open = true;
        this.update();
    }

    update() {
        const {config} = this.#store.state;
        const draft = this.#draft;
        this.node.hidden = !draft.ready;
        if (!draft.ready) {
            return;
        }
        this.#editor.setText(draft.text);
        this.#editor.mark(draft.verdict.state === 'invalid' ? draft.verdict.errors.map((error) => error.line) : []);
        this.#body.hidden = this.#ways.hidden = !draft.pending;
        this.#bar.update();
        this.#outdated.hidden = !draft.outdated;
        this.#showVerdict();
        // A diff is rebuilt only when one of its sides changed: it may be long, and be being read.
        if (draft.pending && (this.#shown.text !== draft.text || this.#shown.running !== draft.running.text)) {
            this.#shown = {text: draft.text, running: draft.running.text};
            this.#difference.replaceChildren(diffView(draft.running.text, draft.text, 'Difference to what runs'));
        }
        this.#export.update();
        this.#apply.update(config);
    }

    #showVerdict() {
        const {state, changes, errors, message} = this.#draft.verdict;
        setAttribute(this.#verdict, 'data-state', state);
        setText(this.#verdict, {
            idle: '',
            checking: 'Checking…',
            valid: '✓ Valid: rproxy would accept this.',
            invalid: `✕ rproxy would refuse this: ${plural(errors.length, 'error')}.`,
            failed: `Not checked: ${message}.`,
        }[state]);
        const signature = JSON.stringify([state, changes, errors]);
        if (state === 'checking' || this.#changes.dataset.signature === signature) {
            return;
        }
        this.#changes.dataset.signature = signature;
        if (state === 'invalid') {
            this.#changes.replaceChildren(errorList(errors, (line, column) => {
                this.openText();
                this.#editor.goTo(line, column);
            }));
        } else if (state === 'failed') {
            this.#changes.replaceChildren(h('button', {type: 'button', onclick: () => this.#draft.check()}, 'Check again'));
        } else {
            this.#changes.replaceChildren(...(changes.length
                ? [h('ul', {class: 'changes', 'aria-label': 'What would change'}, changes.map((change) => h('li', {}, change)))]
                : []));
        }
    }

    #makeBar() {
        const text = h('span');
        const node = h('div', {class: 'draft-bar', hidden: true}, text,
            h('span', {class: 'actions'},
                h('button', {type: 'button', class: 'primary', onclick: () => this.review()}, 'Review'),
                h('button', {type: 'button', onclick: () => {
                    this.#draft.discard();
                    announce('The edited copy was discarded.');
                }}, 'Discard')));
        const words = {checking: 'checking…', valid: 'valid', invalid: 'refused by the check', failed: 'not checked', idle: ''};
        const update = () => {
            node.hidden = !this.#draft.pending;
            setText(text, `Edited, not applied · ${words[this.#draft.verdict.state]}`);
            setAttribute(node, 'data-state', this.#draft.verdict.state);
        };
        return {node, update};
    }

    review() {
        const title = this.node.querySelector('h2');
        title.focus({preventScroll: true});
        this.node.scrollIntoView({block: 'start'});
    }

    #makeExport() {
        let format = remembered('rproxy.format', 'yaml');
        const target = {
            name: remembered('rproxy.configmap', 'rproxy'), namespace: remembered('rproxy.namespace', 'default'), key: '',
        };
        const preview = h('textarea', {class: 'code preview', readonly: true, rows: '6', wrap: 'off', 'aria-label': 'Text to copy'});
        const field = (label, key, storage) => h('label', {}, label, h('input', {
            type: 'text', size: '14', spellcheck: 'false', autocapitalize: 'off', value: target[key],
            oninput: (event) => {
                target[key] = event.target.value.trim();
                if (storage) {
                    remember(storage, target[key]);
                }
                update();
            },
        }));
        const key = field('Key', 'key', null);
        const where = h('div', {class: 'fields'}, field('Namespace', 'namespace', 'rproxy.namespace'),
            field('ConfigMap', 'name', 'rproxy.configmap'), key);
        const note = h('p', {class: 'muted'}, 'If Helm or a GitOps tool owns the ConfigMap, put the YAML where that tool reads it: ',
            'it would undo a change made with kubectl. A mounted ConfigMap reaches rproxy within about a minute.');
        const radios = FORMATS.map(({id, label}) => h('label', {class: 'radio'},
            h('input', {type: 'radio', name: 'format', value: id, checked: id === format, onchange: () => {
                format = id;
                remember('rproxy.format', id);
                update();
            }}), label));
        const copy = h('button', {type: 'button', onclick: async () => {
            const worked = await copyText(preview.value);
            announce(worked ? 'Copied.' : 'The browser did not allow copying.');
            setText(copy, worked ? 'Copied ✓' : 'Select the text and copy it');
            setTimeout(() => setText(copy, 'Copy'), 2500);
        }}, 'Copy');
        const update = () => {
            if (!this.#draft.pending) {
                return;
            }
            if (!target.key) {
                target.key = this.#store.state.config?.path?.split('/').pop() || 'rproxy.yaml';
                key.querySelector('input').value = target.key;
            }
            where.hidden = note.hidden = format === 'yaml';
            const text = FORMATS.find(({id}) => id === format).make(this.#draft.text, target);
            if (preview.value !== text) {
                preview.value = text;
            }
        };
        const node = h('fieldset', {class: 'export'}, h('legend', {}, 'Take it with you'),
            h('div', {class: 'row'}, radios, copy), where, preview, note);
        return {node, update};
    }

    #makeApply() {
        const button = h('button', {type: 'submit', class: 'primary'}, 'Apply');
        const why = h('p', {class: 'muted', id: 'apply-why'});
        const form = h('form', {class: 'row', onsubmit: (event) => {
            event.preventDefault();
            this.#write(button);
        }}, h('label', {}, 'Admin token', h('input', {
            type: 'password', autocomplete: 'off', size: '24', oninput: (event) => {
                this.#token = event.target.value.trim();
                this.update();
            },
        })), button);
        const node = h('fieldset', {class: 'apply'}, h('legend', {}, 'Apply it here'), form, why);
        button.setAttribute('aria-describedby', 'apply-why');
        const update = (config) => {
            const writable = Boolean(config?.writable);
            form.hidden = !writable;
            button.disabled = !writable || !this.#token || this.#draft.verdict.state !== 'valid' || this.#draft.outdated;
            setText(why, !writable
                ? `${config?.path || 'The file'} cannot be written here, as is usual for a mounted ConfigMap. Copy the change and apply it where the file comes from.`
                : this.#draft.outdated ? 'Decide first what to do about the change above.'
                : this.#draft.verdict.state !== 'valid' ? 'Only a configuration that passed the check can be applied.'
                : !this.#token ? 'Needs the content of the file given to --admin-token-file.'
                : `Writes ${config.path}; rproxy then reloads it as after any change of the file.`);
        };
        return {node, update};
    }

    async #write(button) {
        button.disabled = true;
        this.#say('', 'Writing…');
        try {
            await writeConfig(this.#draft.text, this.#token, this.#draft.baseHash);
            this.#say('good', 'Written. rproxy reloads the file now; the copy becomes the running configuration.');
            await this.#store.refresh({config: true});
        } catch (error) {
            this.#say('bad', `Not applied: ${error.message}${error.hint ? ` – ${error.hint}` : ''}.`);
            if (error.status === 412) {
                this.#store.refresh({config: true});
            }
            if (error.errors?.length) {
                this.#draft.verdict = {state: 'invalid', changes: [], errors: error.errors, message: ''};
            }
        }
        this.update();
    }

    #say(kind, text) {
        setAttribute(this.#result, 'data-kind', kind);
        setText(this.#result, text);
    }
}
