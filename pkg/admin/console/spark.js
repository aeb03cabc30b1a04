// A line of the recent past, without axes: the number beside it says how much.

import {svg} from './dom.js';

const WIDTH = 72;
const HEIGHT = 20;
const MIN_SLOTS = 15;

/** `update(values)` redraws; a null is a gap. The scale begins at zero and ends at the largest value. */
export function sparkline(slots) {
    const line = svg('path', {class: 'line'});
    const area = svg('path', {class: 'area'});
    const node = svg('svg', {
        class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true',
    }, area, line);
    let drawn = '';
    const update = (values) => {
        const path = linePath(values, slots);
        if (path !== drawn) {
            drawn = path;
            line.setAttribute('d', path);
            area.setAttribute('d', areaPath(path));
        }
    };
    return {node, update};
}

function linePath(values, slots) {
    const top = Math.max(...values.map((value) => value ?? 0), 1e-9);
    // The newest value is always at the right edge; a short past is drawn wide enough to be seen.
    const shown = Math.min(slots, Math.max(values.length, MIN_SLOTS));
    const step = WIDTH / (shown - 1);
    const first = shown - values.length;
    let path = '';
    let pen = 'M';
    values.forEach((value, i) => {
        if (value === null) {
            pen = 'M';
            return;
        }
        const x = (first + i) * step;
        const y = HEIGHT - 1.5 - (HEIGHT - 3) * (value / top);
        path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
        pen = 'L';
    });
    return path;
}

function areaPath(path) {
    return path.split('M').filter(Boolean).map((run) => {
        const points = run.split('L');
        const [left] = points[0].split(' ');
        const [right] = points[points.length - 1].split(' ');
        return `M${left} ${HEIGHT}L${points.join('L')}L${right} ${HEIGHT}Z`;
    }).join('');
}
