#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/tokenizers: small tokenizers with the pipelines of published models, trained on the
text below, and what Hugging Face's tokenizers make of texts.json with each.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 protobuf
    python3 tools/golden/tokenizers.py tests/data/tokenizers

NAME.json is a tokenizer.json; NAME.expected.json holds, for each text in order, "ids" (without special
tokens) and "decoded", and for the first "special" ids with them and "skipped", decoded without them.
"""
import base64
import io
import json
import pathlib
import random
import sys

# This file's own name hides the package when its folder comes first.
sys.path = [p for p in sys.path if pathlib.Path(p or '.').resolve() != pathlib.Path(__file__).parent]
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

CORPUS = '''A vision transformer cuts a picture into patches and treats each patch as a word of a sentence.
The model that you've trained doesn't know what it'll see: it's only a function of its weights, isn't it?
She said "don't", they're sure we've 12 apples, 345 pears and 6789 plums; I'm not, he'd ask, we'll see.
There were two hundred and fifty-six tokens, 1024 positions, 3.14159 of something and 0.001 of another.
Photographs of mountains, rivers, birds, trees, houses, streets, people and dogs in the morning light.
def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / math.sqrt(64)
    return softmax(scores, dim=-1) @ value

int main(void) {
\tprintf("hello, world\\n");
\treturn 0;
}
Les élèves étudient à l'école près de la forêt; le café est déjà fermé où naïve Noël garçon.
Die größeren Häuser stehen über den Flüssen, und müde Vögel schlafen schön.
El niño pequeño comió una manzana; ¿dónde está la biblioteca? ¡Allí!
Быстрая коричневая лиса прыгает через ленивую собаку, и модель видит картинку.
Η γρήγορη αλεπού πηδάει πάνω από το σκυλί.
機械は写真を見て、それが何であるかを言う。猫と犬がいます。東京は大きいです。
机器看到一张图片,并说出它是什么。北京是一个城市。我们学习语言模型。
기계가 그림을 보고 무엇인지 말합니다. 안녕하세요 세계.
نموذج يرى الصورة ويقول ما هي. السلام عليكم، كيف حالك؟
एक मशीन चित्र देखती है और बताती है कि वह क्या है। नमस्ते दुनिया।
เครื่องมองเห็นภาพ สวัสดีชาวโลก
A photo of a cat 🐱, a dog 🐶 and a family 👨‍👩‍👧 with flags 🇫🇷 🇯🇵 and hearts ❤️ 👍🏽.
'''.splitlines()

GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN_SPLIT = LLAMA3_SPLIT.replace(r'\p{N}{1,3}', r'\p{N}')
TEKKEN_SPLIT = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
                r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
                r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CLIP_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BLOOM_SPLIT = r' ?[^(\s|[.,!?…。，、।۔،])]+'

TEXTS = [
    '', ' ', 'a', 'Hello, world!', "I'm sure they've said it'll work, don't you? He'd SHE'LL We'RE",
    '  leading and trailing  ', 'a  b   c    d', 'tabs\tand\nnewlines\r\n\r\n\n  indented', '\n\n\n', '\t \t',
    '   \n   \n', 'x\n', ' x', 'naïve café élève ÀÉÎÕÜ', 'nai\u0308ve cafe\u0301 e\u0301le\u0300ve',
    'Ǆ ǅ ǆ ß ẞ İ ı ſ K Å ﬁ ﬂ Ⅷ ½ ² ①', 'İstanbul DİYARBAKIR', 'Быстрая лиса', 'Η γρήγορη αλεπού ΣΑΣ ς',
    '機械は写真を見て、それが何であるか。', '北京是一个城市,not a village。', '안녕하세요 세계', '\u1112\u1161\u11ab\u1100\u1173\u11af',
    'السَّلَامُ عَلَيْكُمْ', 'كيف حالك؟ 123 ٤٥٦', 'नमस्ते दुनिया क्षत्रिय', 'สวัสดีชาวโลก', 'שָׁלוֹם עוֹלָם',
    '🐱', 'family 👨‍👩‍👧‍👦 flags 🇫🇷🇯🇵 skin 👍🏽 heart ❤️', '🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f', '12345678901234567890',
    '3.14159 1,000,000 0x1F 1e-5 ½', 'a1b2c3', 'C++ && || != <= >= -> ... --- *** $$$', '(brackets) [and] {braces} <tags>',
    'e-mail: someone@example.com, https://example.com/a?b=c&d=e#f', 'snake_case camelCase PascalCase kebab-case',
    '\x01\x02\x07\x1b[31m\x7f', '\u200b\u200c\u200d\u2060\ufeff', 'soft\xadhyphen', 'nbsp\xa0here\u202f\u3000wide', '\u180e\x85\u2028\u2029',
    'a\u0301\u0323\u0327b\u0327\u0323\u0301', '\u0301\u0301', 'ｆｕｌｌ　ｗｉｄｔｈ １２３', 'カタカナ ｶﾀｶﾅ ﾊﾟ', '\u2126 \u212b \ufdfa',
    '\ufffd', '\U0010ffff\U000e0001\ue000', 'z' * 130, 'a' * 100, 'a' * 101, 'supercalifragilistic' * 12, '▁a ▁▁b', '<0x41> </s> <0xE2>', ' ##ing ##s',
    'word</w>', "'s 't 're 've 'm 'll 'd", "'S 'T 'RE 'ſ 'K", '"quoted" ‘single’ “double” «guillemets»', '… — – • · ¡ ¿ §',
    '[CLS] a [SEP] b [MASK] c[PAD]d [UNK]', '<s>a</s> b <unk> c <pad>', '<|endoftext|>a <|endoftext|> b<|begin_of_text|>',
    '<|startoftext|>a cat<|endoftext|>', '<extra_id_0> and <extra_id_1>', 'a <mask> b  <mask>  c', 'wordDAYword DAY day Day. [DAY]',
    'é<|im_start|>é', '㐀㒨 𠀀𠮷 豈 x㐀y', "isn't a photograph, isn't it", 'aѪ ѫѪ ѪѪ ѫ', '[MASK]   <mask>  [MASK] a<mask>', '☃☄★a☃ ☄★', 'e ee the tree',
    'do not , they are . is it ? yes ! n\'t \'s it \' s',
]


def adversarial(count, seed=7):
    """Strings that sit on the edges of the expressions: spaces, apostrophes, case, marks, digits."""
    rng = random.Random(seed)
    pool = (list(" '  \n\r\t  ''") + ['\x0b', '\x0c', '\x85', '\xa0', '\u180e', '\u2003', '\u2028', '\u3000', '\u200b'] +
            list("sStTrReEvVmMlLdDaz") + ['ſ', 'K', 'é', 'İ', 'ß', 'Σ', 'ς', 'Ω'] + list('0189²½٣Ⅷ') +
            ['\u0301', '\u0903', '\u20dd', '\u093f', 'क', '्', '中', 'ひ', '한', '🐱', '\u200d', '❤', '\ufe0f', '👍', '🏽'] +
            list('.,!?()[]{}|_-/\\"#~^') + ['…', '。', '，', '、', '।', '۔', '،', '▁', '‘', '—', '́', '\u1100', '\u1161'])
    return [''.join(rng.choice(pool) for _ in range(rng.randint(2, 14))) for _ in range(count)]


def special(*names, **keys):
    keys.setdefault('normalized', False)
    return [AddedToken(n, special=True, **keys) for n in names]


def byte_level_bpe(specials, size=560, **keys):
    tok = Tokenizer(models.BPE(**keys))
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.decoder = decoders.ByteLevel()
    return tok, trainer


def template(single, tok, *names):
    return processors.TemplateProcessing(single=single, pair=f'{single} $B', special_tokens=[
        (n, tok.token_to_id(n)) for n in names])


# ---- the models ------------------------------------------------------------------------------------

def bert(lowercase=True, strip_accents=None, old_processor=False):
    names = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    tok = Tokenizer(models.WordPiece(unk_token='[UNK]', max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer(True, True, strip_accents, lowercase)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
        vocab_size=700, special_tokens=special(*names), show_progress=False))
    tok.decoder = decoders.WordPiece('##', True)
    if old_processor:
        tok.post_processor = processors.BertProcessing(('[SEP]', 3), ('[CLS]', 2))
    else:
        tok.post_processor = template('[CLS] $A [SEP]', tok, '[CLS]', '[SEP]')
    return tok


def gpt2():
    tok, trainer = byte_level_bpe(special('<|endoftext|>', normalized=True))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.train_from_iterator(CORPUS, trainer)
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    return tok


def roberta():
    tok, trainer = byte_level_bpe(special('<s>', '<pad>', '</s>', '<unk>') + special('<mask>', lstrip=True))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tok.train_from_iterator(CORPUS, trainer)
    tok.post_processor = processors.RobertaProcessing(('</s>', 2), ('<s>', 0))
    return tok


def gpt_neox(modern=False):
    """GPT-NeoX and MPT; ModernBERT has their vocabulary with its own special tokens."""
    tok, trainer = byte_level_bpe(special('<|padding|>', '<|endoftext|>'))
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.train_from_iterator(CORPUS, trainer)
    tok.add_tokens([AddedToken(' ' * n, normalized=True) for n in range(24, 1, -1)])
    tok.post_processor = processors.ByteLevel()
    if modern:
        tok.add_special_tokens(special('[UNK]', '[CLS]', '[SEP]', '[PAD]') + special('[MASK]', lstrip=True))
        tok.post_processor = template('[CLS] $A [SEP]', tok, '[CLS]', '[SEP]')
    return tok


def split_bpe(regex, names, before=None, normalizer=None, size=560, **keys):
    tok, trainer = byte_level_bpe([], size, **keys)
    tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(regex), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.train_from_iterator(CORPUS, trainer)
    tok.add_special_tokens(special(*names))
    tok.post_processor = processors.ByteLevel()
    if before:
        tok.post_processor = processors.Sequence([
            processors.ByteLevel(), template(f'{before} $A', tok, before)])
    return tok


def clip():
    tok = Tokenizer(models.BPE(unk_token='<|endoftext|>', continuing_subword_prefix='',
                               end_of_word_suffix='</w>', fuse_unk=False))
    tok.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r'\s+'), ' '),
                                           normalizers.Lowercase()])
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(CLIP_SPLIT), behavior='removed', invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=1000, end_of_word_suffix='</w>', show_progress=False,
                                  initial_alphabet=alphabet)
    tok.train_from_iterator(CORPUS, trainer)
    # CLIP's vocabulary holds each byte twice, alone and as the end of a word.
    state = json.loads(tok.to_str())
    vocab = state['model']['vocab']
    for token in [a + '</w>' for a in alphabet] + ['<|startoftext|>', '<|endoftext|>']:
        vocab.setdefault(token, len(vocab))
    tok = Tokenizer.from_str(json.dumps(state))
    tok.add_special_tokens(special('<|startoftext|>', '<|endoftext|>'))
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processors.RobertaProcessing(
        ('<|endoftext|>', vocab['<|endoftext|>']), ('<|startoftext|>', vocab['<|startoftext|>']),
        trim_offsets=False, add_prefix_space=False)
    return tok


def llama2(legacy=True):
    tok = Tokenizer(models.BPE(unk_token='<unk>', fuse_unk=True, byte_fallback=True))
    legacy_normalizer = normalizers.Sequence([normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')])
    byte_tokens = [f'<0x{b:02X}>' for b in range(256)]
    # Trained on words, as sentencepiece does; then the published pipeline, which has no words.
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.train_from_iterator(CORPUS[:12], trainers.BpeTrainer(
        vocab_size=700, special_tokens=['<unk>', '<s>', '</s>'] + byte_tokens, show_progress=False))
    state = json.loads(tok.to_str())
    state['added_tokens'] = []
    tok = Tokenizer.from_str(json.dumps(state))
    if legacy:
        tok.normalizer = legacy_normalizer
        tok.pre_tokenizer = None
    else:
        tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement='▁', prepend_scheme='first', split=False)
    tok.add_special_tokens(special('<unk>', '<s>', '</s>'))
    tok.post_processor = template('<s> $A', tok, '<s>')
    tok.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(),
                                     decoders.Strip(' ', 1, 0)])
    return tok


# ---- SentencePiece ---------------------------------------------------------------------------------

def sentencepiece_parts():
    """Pieces and the character map of a unigram model with the default normalizer, nmt_nfkc."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as proto
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3), model_writer=out, vocab_size=380, model_type='unigram',
        character_coverage=0.98, minloglevel=2, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1)
    model = proto.ModelProto.FromString(out.getvalue())
    pieces = [(p.piece, p.score) for p in model.pieces]
    return pieces, base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def with_charsmap(tok, steps, charsmap):
    """The Python class wants bytes; the file has base64."""
    state = json.loads(tok.to_str())
    for step in steps:
        if step['type'] == 'Precompiled':
            step['precompiled_charsmap'] = charsmap
    state['normalizer'] = {'type': 'Sequence', 'normalizers': steps} if len(steps) > 1 else steps[0]
    return Tokenizer.from_str(json.dumps(state))


def t5(pieces, charsmap):
    extra = [f'<extra_id_{i}>' for i in range(9, -1, -1)]
    tok = Tokenizer(models.Unigram(pieces + [(e, 0.0) for e in extra], unk_id=2))
    tok = with_charsmap(tok, [{'type': 'Precompiled'}, {'type': 'Strip', 'strip_left': False, 'strip_right': True},
                              {'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': '▁'}], charsmap)
    tok.add_special_tokens(special('<pad>', '</s>', '<unk>', *extra))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='always')
    tok.decoder = decoders.Metaspace(prepend_scheme='always')
    tok.post_processor = template('$A </s>', tok, '</s>')
    return tok


def siglip(pieces, charsmap):
    tok = Tokenizer(models.Unigram(pieces, unk_id=2))
    punctuation = r"[!\"\#\$%\&'\(\)\*\+,\-\./:;<=>\?@\[\\\]\^_`\{\|\}\~]"
    tok = with_charsmap(tok, [{'type': 'Lowercase'},
                              {'type': 'Replace', 'pattern': {'Regex': punctuation}, 'content': ''},
                              {'type': 'Replace', 'pattern': {'Regex': r'\s+'}, 'content': ' '},
                              {'type': 'Strip', 'strip_left': True, 'strip_right': True},
                              {'type': 'Precompiled'}], charsmap)
    tok.add_special_tokens(special('</s>', '<unk>', lstrip=True, rstrip=True))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='always')
    tok.decoder = decoders.Metaspace(prepend_scheme='always')
    tok.post_processor = template('$A </s>', tok, '</s>')
    tok.enable_truncation(64)
    tok.enable_padding(length=64, pad_id=1, pad_token='</s>')
    return tok


def xlm_roberta(pieces, charsmap):
    """jina-clip-v2 and the like."""
    vocab = [('<s>', 0.0), ('<pad>', 0.0), ('</s>', 0.0), ('<unk>', 0.0)] + pieces[3:] + [('<mask>', 0.0)]
    tok = Tokenizer(models.Unigram(vocab, unk_id=3))
    tok = with_charsmap(tok, [{'type': 'Precompiled'}], charsmap)
    tok.add_special_tokens(special('<s>', '<pad>', '</s>', '<unk>') + special('<mask>', lstrip=True))
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tok.decoder = decoders.Metaspace()
    tok.post_processor = template('<s> $A </s>', tok, '<s>', '</s>')
    return tok


def unigram_bytes(pieces):
    """Byte fallback in a Unigram model, and Nmt with NFKC in place of a character map."""
    vocab = pieces + [('ѫ', 5.0), ('ѫѪ', -50.0)] + [(f'<0x{b:02X}>', -20.0) for b in range(256)]
    tok = Tokenizer(models.Unigram(vocab, unk_id=2, byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme='first')])
    tok.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme='first')])
    return tok


# ---- the parts that no model above has -------------------------------------------------------------

def words(pre_tokenizer, normalizer=None, **keys):
    tok = Tokenizer(models.BPE(unk_token='<unk>', end_of_word_suffix='</w>', continuing_subword_prefix='@@', **keys))
    tok.pre_tokenizer = pre_tokenizer
    tok.normalizer = normalizer
    tok.train_from_iterator(CORPUS[:8] + ['a1 2b 33 _x_ don\'t -- (a) e\u0301'], trainers.BpeTrainer(
        vocab_size=300, special_tokens=['<unk>'], end_of_word_suffix='</w>', continuing_subword_prefix='@@',
        show_progress=False))
    tok.decoder = decoders.BPEDecoder('</w>')
    return tok


def misc_whitespace():
    tok = words(pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(False)]), normalizers.NFD())
    tok.add_tokens([AddedToken('DAY', single_word=True, normalized=False), AddedToken('é', single_word=True),
                    AddedToken('[DAY]', lstrip=True, rstrip=True, normalized=True)])
    tok.enable_truncation(9, direction='left')
    tok.enable_padding(direction='left', pad_id=7, pad_to_multiple_of=8)
    return tok


def misc_lower():
    tok = words(pre_tokenizers.Sequence([
        pre_tokenizers.CharDelimiterSplit(' '), pre_tokenizers.Punctuation('merged_with_previous'),
        pre_tokenizers.Digits(True), pre_tokenizers.FixedLength(5)]),
        normalizers.Sequence([normalizers.Lowercase(), normalizers.NFKD(), normalizers.StripAccents(),
                              normalizers.Strip(True, False)]))
    tok.add_tokens([AddedToken('Day'), AddedToken('the  ', rstrip=True)])
    tok.add_special_tokens([AddedToken('[UNK]', normalized=True)])
    return tok


def misc_splits():
    tok = words(pre_tokenizers.Sequence([
        pre_tokenizers.Split(' ', 'merged_with_next'), pre_tokenizers.Split(Regex(r'[aeiou]'), 'contiguous'),
        pre_tokenizers.Split(Regex(r'\d|$'), 'merged_with_previous'),
        pre_tokenizers.Split(Regex(r'\w[\w\s]'), 'merged_with_next', invert=True)]), fuse_unk=True)
    tok.add_special_tokens(special('[MASK]', rstrip=True) + special('<mask>', lstrip=True))
    tok.decoder = decoders.Sequence([decoders.Replace(Regex('a|b'), '<>'), decoders.Strip('>', 0, 1)])
    return tok


def misc_word_decoder():
    tok = words(pre_tokenizers.WhitespaceSplit(), normalizers.Sequence([normalizers.ByteLevel()]))
    tok.decoder = None
    return tok


def build():
    pieces, charsmap = sentencepiece_parts()
    llama3_names = ['<|begin_of_text|>', '<|end_of_text|>', '<|eot_id|>']
    return {
        'bert-uncased': bert(), 'bert-cased': bert(lowercase=False), 'bert-chinese': bert(True, False, True),
        'modernbert': gpt_neox(modern=True), 'gpt2': gpt2(), 'roberta': roberta(), 'gpt-neox': gpt_neox(),
        'llama2': llama2(), 'llama2-metaspace': llama2(legacy=False),
        'llama3': split_bpe(LLAMA3_SPLIT, llama3_names, '<|begin_of_text|>', ignore_merges=True),
        'qwen3': split_bpe(QWEN_SPLIT, ['<|endoftext|>', '<|im_start|>', '<|im_end|>'], normalizer=normalizers.NFC()),
        'mistral-tekken': split_bpe(TEKKEN_SPLIT, ['<unk>', '<s>', '</s>'], '<s>', ignore_merges=True),
        'bloom': split_bpe(BLOOM_SPLIT, ['<unk>', '<s>', '</s>', '<pad>']),
        'clip': clip(), 't5': t5(pieces, charsmap), 'siglip': siglip(pieces, charsmap),
        'xlm-roberta': xlm_roberta(pieces, charsmap), 'unigram-bytes': unigram_bytes(pieces),
        'misc-whitespace': misc_whitespace(), 'misc-lower': misc_lower(), 'misc-splits': misc_splits(),
        'misc-no-decoder': misc_word_decoder(),
    }


def ignore_merges(state, name):
    if name in ('llama3', 'mistral-tekken'):
        # A token that the merges do not reach, for ignore_merges to tell.
        vocab = state['model']['vocab']
        for word in ('Ġphotograph', 'isn'):
            vocab.setdefault(word, 0)
        added = state['added_tokens']
        for id, word in enumerate(sorted(vocab, key=lambda w: (vocab[w] == 0 and w in ('Ġphotograph', 'isn'), vocab[w]))):
            vocab[word] = id
        for i, token in enumerate(added):
            token['id'] = len(vocab) + i
        for step in state['post_processor']['processors'][1:]:
            for token in step['special_tokens'].values():
                token['ids'] = [next(t['id'] for t in added if t['content'] == token['id'])]
    return state


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    texts = TEXTS + adversarial(160)
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(',', ':'))
    (out / 'texts.json').write_text(dump(texts) + '\n')
    for name, tok in build().items():
        state = ignore_merges(json.loads(tok.to_str()), name)
        if name == 'gpt2':  # as published: neither a type nor merges in pairs
            del state['model']['type'], state['model']['ignore_merges'], state['model']['byte_fallback']
            state['model']['merges'] = [' '.join(m) for m in state['model']['merges']]
        text = dump(state)
        (out / f'{name}.json').write_text(text + '\n')
        tok = Tokenizer.from_str(text)
        ids = [tok.encode(t, add_special_tokens=False).ids for t in texts]
        special_ids = [tok.encode(t).ids for t in TEXTS]
        expected = {'ids': ids, 'decoded': [decode(tok, i, False) for i in ids], 'special': special_ids,
                    'skipped': [decode(tok, i, True) for i in special_ids]}
        (out / f'{name}.expected.json').write_text(dump(expected) + '\n')


def decode(tok, ids, skip):
    """null where the library itself fails, as its BPEDecoder and Strip do on nothing or too little."""
    try:
        return tok.decode(ids, skip_special_tokens=skip)
    except BaseException as e:
        if 'Panic' in type(e).__name__:
            return None
        raise


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
