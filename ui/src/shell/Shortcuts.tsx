/** Which keys do what. */

import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { keysText } from "../kit/keys";
import { Modal } from "../kit/Modal";
import { useStored } from "../kit/stored";
import { mayUseSingleKey, SHORTCUTS, setSingleKey } from "./shortcuts";

/** Keys whose own sign is too small to be read. */
const NAMED: Record<string, ReturnType<typeof msg>> = { Comma: msg`Comma`, "Full stop": msg`Full stop` };

export function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Modal title={t`Keyboard shortcuts`} dismissable onClose={onClose}>
      <dl className="shortcuts">
        {SHORTCUTS.map(([keys, words]) => (
          <div key={keys}>
            <dt>{i18n.t(words)}</dt>
            <dd>
              {keys.split(", ").map((one) => (
                <kbd key={one}>{NAMED[one] ? i18n.t(NAMED[one]) : keysText(one)}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <label className="row">
        <input type="checkbox" checked={useStored(mayUseSingleKey)} onChange={({ target }) => setSingleKey(target.checked)} />
        {t`Single keys work (the question mark)`}
      </label>
      <div className="row ends">
        {/* biome-ignore lint/a11y/noAutofocus: there is nothing else to do here */}
        <button type="button" autoFocus onClick={onClose}>{t`Close`}</button>
      </div>
    </Modal>
  );
}
