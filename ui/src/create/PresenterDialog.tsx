/** The wall of faces, of which one is chosen. */
import { t } from "@lingui/core/macro";
import { Modal } from "../kit/Modal";
import { Face } from "./PresenterPicker";
import { isTalkOnly, roleWords, usable, usePersonas } from "./usePersonas";

interface Props {
  title: string;
  value: string;
  talks?: boolean | undefined;
  /** Ids of those who are not offered. */
  without?: readonly string[] | undefined;
  onChange: (id: string) => void;
  onClose: () => void;
}

export function PresenterDialog({ title, value, talks, without = [], onChange, onClose }: Props) {
  const personas = usable(usePersonas().data).filter((one) => (talks || !isTalkOnly(one)) && !without.includes(one.id));
  return (
    <Modal title={title} size="wide" dismissable onClose={onClose}>
      <ul className="face-wall">
        {personas.map((one) => (
          <li key={one.id}>
            <button
              type="button"
              aria-pressed={one.id === value}
              onClick={() => {
                onChange(one.id);
                onClose();
              }}
            >
              <Face entry={one} width={120} />
              <strong>{one.persona?.name}</strong>
              <span className="quiet">{roleWords(one)}</span>
            </button>
          </li>
        ))}
      </ul>
      <div className="row ends">
        <button type="button" onClick={onClose}>{t`Cancel`}</button>
      </div>
    </Modal>
  );
}
