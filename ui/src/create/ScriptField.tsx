/** The words of a scene, edited in place. Marks are shown as chips: a copy of the text with them lies below. */
import { t } from "@lingui/core/macro";
import { useRef } from "react";

const MARK = /(\[(?:pause|mood|gesture|speaker)\b[^\]\n]*\]|\*[^*\n]+\*)/i;

export type CaretAction = (caret: number, end: number) => void;

interface Props {
  label: string;
  id: string;
  value: string;
  onChange: (text: string) => void;
  onSplit: CaretAction;
  onMergeBack: () => void;
  onFocus: () => void;
}

export function ScriptField({ label, id, value, onChange, onSplit, onMergeBack, onFocus }: Props) {
  const mirror = useRef<HTMLDivElement>(null);
  return (
    <div className="script-field">
      {/* One space more, so that an empty last line is as high here as there. */}
      <div ref={mirror} className="mirror" dir="auto" aria-hidden="true">
        {value.split(MARK).map((part, place) => (place % 2 ? <mark key={place}>{part}</mark> : part))}{" "}
      </div>
      <textarea
        id={id}
        dir="auto"
        aria-label={label}
        value={value}
        rows={2}
        spellCheck
        placeholder={t`What is said here?`}
        onFocus={onFocus}
        onScroll={({ currentTarget }) => {
          if (mirror.current) mirror.current.scrollTop = currentTarget.scrollTop;
        }}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          const { selectionStart, selectionEnd } = event.currentTarget;
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            onSplit(selectionStart, selectionEnd);
          } else if (event.key === "Backspace" && selectionStart === 0 && selectionEnd === 0) {
            event.preventDefault();
            onMergeBack();
          }
        }}
      />
    </div>
  );
}
