/** Fields of forms: each with its label, a hint and the problem of its value. */

import { html, live, nothing } from '../../vendor/lit-html.js';

/** Counts fields, so that each has its own ID. */
let fields = 0;

/** @type {WeakMap<object, string>} the IDs of the fields of a form, by the names of the fields */
const ids = new WeakMap();

/**
 * Returns the ID of an element that belongs to a form, the same one each time.
 * @param {Record<string, unknown>} values
 * @param {string} name
 */
function idOf(values, name) {
  let prefix = ids.get(values);
  if (prefix === undefined) {
    fields += 1;
    prefix = `form-${fields}`;
    ids.set(values, prefix);
  }
  return `${prefix}-${name}`;
}

/**
 * The values of a form, and a function that renders it again after each change.
 * @typedef {object} Form
 * @property {Record<string, any>} values
 * @property {() => void} changed
 * @property {Record<string, string>} [problems] A sentence for each field with a problem.
 */

/**
 * @typedef {object} FieldOptions
 * @property {string} label
 * @property {unknown} [hint]
 * @property {boolean} [isRequired]
 * @property {boolean} [isDisabled]
 */

/**
 * A label, a control, its hint and its problem.
 * @param {Form} form
 * @param {string} name
 * @param {FieldOptions} options
 * @param {(attributes: {id: string, describedBy: string | typeof nothing, isInvalid: boolean}) =>
 *   unknown} control
 */
function field({ values, problems }, name, { label, hint }, control) {
  const id = idOf(values, name);
  const problem = problems?.[name];
  const described = [hint ? `${id}-hint` : '', problem ? `${id}-problem` : ''].filter(Boolean);
  const describedBy = described.length > 0 ? described.join(' ') : nothing;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${hint ? html`<span class="hint" id="${id}-hint">${hint}</span>` : nothing}
    ${control({ id, describedBy, isInvalid: Boolean(problem) })}
    ${problem ? html`<span class="problem" id="${id}-problem">${problem}</span>` : nothing}
  </div>`;
}

/**
 * A text of one line.
 * @param {Form} form
 * @param {string} name
 * @param {FieldOptions & {type?: 'text' | 'number' | 'date' | 'datetime-local',
 *   min?: number | string, max?: number | string, maxLength?: number, isCode?: boolean,
 *   suggestions?: readonly string[]}} options
 */
export function textField(form, name, options) {
  const { type = 'text', min, max, maxLength, isCode, isRequired, isDisabled } = options;
  return field(form, name, options, ({ id, describedBy, isInvalid }) => {
    return html`<input
        id=${id}
        type=${type}
        class=${isCode ? 'mono' : nothing}
        .value=${live(String(form.values[name] ?? ''))}
        min=${min ?? nothing}
        max=${max ?? nothing}
        maxlength=${maxLength ?? nothing}
        ?required=${isRequired}
        ?disabled=${isDisabled}
        autocomplete="off"
        spellcheck="false"
        autocapitalize="none"
        list=${options.suggestions ? `${id}-list` : nothing}
        aria-describedby=${describedBy}
        aria-invalid=${isInvalid ? 'true' : nothing}
        @input=${(/** @type {Event} */ event) => {
          form.values[name] = /** @type {HTMLInputElement} */ (event.target).value;
          form.changed();
        }}
      />
      ${
        options.suggestions
          ? html`<datalist id="${id}-list">
              ${options.suggestions.map((value) => html`<option value=${value}></option>`)}
            </datalist>`
          : nothing
      }`;
  });
}

/**
 * A text of several lines.
 * @param {Form} form
 * @param {string} name
 * @param {FieldOptions & {rows?: number, placeholder?: string}} options
 */
export function areaField(form, name, options) {
  return field(form, name, options, ({ id, describedBy, isInvalid }) => {
    return html`<textarea
      id=${id}
      rows=${options.rows ?? 3}
      class=${(options.rows ?? 3) < 6 ? 'short' : nothing}
      placeholder=${options.placeholder ?? nothing}
      .value=${live(String(form.values[name] ?? ''))}
      ?required=${options.isRequired}
      ?disabled=${options.isDisabled}
      autocomplete="off"
      spellcheck="false"
      autocapitalize="none"
      aria-describedby=${describedBy}
      aria-invalid=${isInvalid ? 'true' : nothing}
      @input=${(/** @type {Event} */ event) => {
        form.values[name] = /** @type {HTMLTextAreaElement} */ (event.target).value;
        form.changed();
      }}
    ></textarea>`;
  });
}

/**
 * One of a few values.
 * @param {Form} form
 * @param {string} name
 * @param {FieldOptions & {choices: readonly (readonly [value: string, label: string])[]}} options
 */
export function selectField(form, name, options) {
  return field(form, name, options, ({ id, describedBy }) => {
    return html`<select
      id=${id}
      ?disabled=${options.isDisabled}
      aria-describedby=${describedBy}
      @change=${(/** @type {Event} */ event) => {
        form.values[name] = /** @type {HTMLSelectElement} */ (event.target).value;
        form.changed();
      }}
    >
      ${options.choices.map(
        ([value, label]) =>
          html`<option value=${value} ?selected=${form.values[name] === value}>${label}</option>`,
      )}
    </select>`;
  });
}

/**
 * A value that is true or false.
 * @param {Form} form
 * @param {string} name
 * @param {FieldOptions} options
 */
export function checkField({ values, changed }, name, { label, hint, isDisabled }) {
  const id = idOf(values, name);
  return html`<label class="check">
      <input
        type="checkbox"
        .checked=${live(Boolean(values[name]))}
        ?disabled=${isDisabled}
        aria-describedby=${hint ? `${id}-hint` : nothing}
        @change=${(/** @type {Event} */ event) => {
          values[name] = /** @type {HTMLInputElement} */ (event.target).checked;
          changed();
        }}
      />
      <span>${label}</span>
    </label>
    ${hint ? html`<p class="hint indented" id="${id}-hint">${hint}</p>` : nothing}`;
}

/**
 * Several of a list of values. The value of the field is a `Set`.
 * @param {Form} form
 * @param {string} name
 * @param {FieldOptions & {choices: readonly (readonly [value: string, label: unknown])[]}} options
 */
export function checksField({ values, changed }, name, { label, hint, choices, isDisabled }) {
  /** @type {Set<string>} */
  const chosen = values[name];
  return html`<fieldset class="checks">
    <legend>${label}</legend>
    ${hint ? html`<p class="hint">${hint}</p>` : nothing}
    <div class="columns">
      ${choices.map(
        ([value, title]) =>
          html`<label class="check">
            <input
              type="checkbox"
              .checked=${live(chosen.has(value))}
              ?disabled=${isDisabled}
              @change=${(/** @type {Event} */ event) => {
                if (/** @type {HTMLInputElement} */ (event.target).checked) chosen.add(value);
                else chosen.delete(value);
                changed();
              }}
            />
            <span>${title}</span>
          </label>`,
      )}
    </div>
  </fieldset>`;
}

/**
 * One of a few values, all of them in sight.
 * @param {Form} form
 * @param {string} name
 * @param {FieldOptions & {
 *   choices: readonly (readonly [value: string, label: unknown, hint?: unknown])[]}} options
 */
export function radioField({ values, changed }, name, { label, choices, isDisabled }) {
  const group = idOf(values, name);
  return html`<fieldset class="checks">
    <legend>${label}</legend>
    ${choices.map(
      ([value, title, hint]) =>
        html`<label class="check">
            <input
              type="radio"
              name=${group}
              value=${value}
              .checked=${live(values[name] === value)}
              ?disabled=${isDisabled}
              aria-describedby=${hint ? `${group}-${value}` : nothing}
              @change=${() => {
                values[name] = value;
                changed();
              }}
            />
            <span>${title}</span>
          </label>
          ${hint ? html`<p class="hint indented" id="${group}-${value}">${hint}</p>` : nothing}`,
    )}
  </fieldset>`;
}

/**
 * A text that comes from a file: paste it, choose the file, or drop the file on the field.
 * @param {Form} form
 * @param {string} name
 * @param {FieldOptions & {rows?: number, placeholder?: string, chooseLabel: string,
 *   maxBytes: number, tooLarge: string, accept?: string,
 *   read?: (file: ArrayBuffer) => string}} options `maxBytes` is the largest file that is read.
 */
export function fileField(form, name, options) {
  const { read = (file) => new TextDecoder().decode(file), maxBytes } = options;
  /** @param {File | null | undefined} file */
  const take = async (file) => {
    if (!file) return;
    if (file.size > maxBytes) {
      form.problems = { ...form.problems, [name]: options.tooLarge };
    } else {
      form.values[name] = read(await file.arrayBuffer());
    }
    form.changed();
  };
  /** @param {Event} event */
  const choose = (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    void take(input.files?.[0]);
    // The same file can be chosen again after it was changed.
    input.value = '';
  };
  /** @param {DragEvent} event */
  const drop = (event) => {
    event.preventDefault();
    /** @type {HTMLElement} */ (event.currentTarget).classList.remove('over');
    void take(event.dataTransfer?.files[0]);
  };
  /** @param {DragEvent} event */
  const over = (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    /** @type {HTMLElement} */ (event.currentTarget).classList.add('over');
  };
  /** @param {DragEvent} event */
  const out = (event) => {
    /** @type {HTMLElement} */ (event.currentTarget).classList.remove('over');
  };
  return html`<div class="drop" @dragover=${over} @dragleave=${out} @drop=${drop}>
    ${areaField(form, name, options)}
    <label class="button file">
      <input
        class="unseen"
        type="file"
        accept=${options.accept ?? nothing}
        ?disabled=${options.isDisabled}
        @change=${choose}
      />
      <span>${options.chooseLabel}</span>
    </label>
  </div>`;
}

/**
 * Returns the entries of a text with one in each line, without blanks and empty lines.
 * @param {string} text
 */
export function lines(text) {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
}
