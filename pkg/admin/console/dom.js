// The few things the screens need of the DOM. Text is only ever set as text: names, addresses and
// messages come from files and from backends, and are never parsed as HTML.

const SVG = 'http://www.w3.org/2000/svg';

function assign(element, properties) {
    for (const [key, value] of Object.entries(properties ?? {})) {
        if (value === undefined || value === null || value === false) {
            continue;
        }
        if (key.startsWith('on')) {
            element.addEventListener(key.slice(2), value);
        } else if (key === 'dataset') {
            Object.assign(element.dataset, value);
        } else {
            element.setAttribute(key, value === true ? '' : value);
        }
    }
}

/** An element with attributes, `on…` listeners and children (nodes, text, or arrays of them). */
export function h(tag, properties, ...children) {
    const element = document.createElement(tag);
    assign(element, properties);
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return element;
}

export function svg(tag, properties, ...children) {
    const element = document.createElementNS(SVG, tag);
    assign(element, properties);
    element.append(...children);
    return element;
}

/** Sets the text if it differs: an unchanged text node costs no layout and no announcement. */
export function setText(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

export function setAttribute(element, name, value) {
    if (value === null || value === undefined) {
        if (element.hasAttribute(name)) {
            element.removeAttribute(name);
        }
    } else if (element.getAttribute(name) !== String(value)) {
        element.setAttribute(name, value);
    }
}

/** Tells a screen reader, politely. */
export function announce(text) {
    setText(document.getElementById('announce'), text);
}

// Each state has its own shape, so that colour is never the only difference.
const SHAPES = {
    up: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z',
    down: 'M3.4 2 8 6.6 12.6 2 14 3.4 9.4 8l4.6 4.6-1.4 1.4L8 9.4 3.4 14 2 12.6 6.6 8 2 3.4z',
    ejected: 'M8 1.5 15 14H1z',
    draining: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 2v8a4 4 0 0 1 0-8z',
    disabled: 'M2 6.5h12v3H2z',
    unknown: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z',
};

/** A badge that names a backend's state; `update(state)` changes it. */
export function stateBadge(initial) {
    const path = svg('path', {'fill-rule': 'evenodd'});
    const label = h('span');
    const node = h('span', {class: 'state'},
                   svg('svg', {viewBox: '0 0 16 16', 'aria-hidden': 'true'}, path), label);
    const update = (state) => {
        if (node.dataset.state === state) {
            return;
        }
        node.dataset.state = state;
        path.setAttribute('d', SHAPES[state] ?? SHAPES.unknown);
        label.textContent = state;
    };
    update(initial ?? 'unknown');
    return {node, update};
}

/**
 * Copies text. The clipboard interface exists only on HTTPS and localhost, and an admin port is
 * often neither, so the old command is the second way. Resolves to whether it worked.
 */
export async function copyText(text) {
    try {
        if (navigator.clipboard && window.isSecureContext) {
            await navigator.clipboard.writeText(text);
            return true;
        }
    } catch {
        // Permission refused: the second way may still work.
    }
    const area = h('textarea', {class: 'sr', readonly: true, 'aria-hidden': 'true', tabindex: '-1'});
    area.value = text;
    const focused = document.activeElement;
    // Inside an open modal dialog nothing outside of it can be selected.
    (focused?.closest('dialog') ?? document.body).append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    focused?.focus();
    return copied;
}
