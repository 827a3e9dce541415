"""The checkpoint: what its files state, its weights, and transformers' own model of it. Private.

- `checkpoint`: where it is, its config and its pooler;
- `sentence_transformers`: what a folder of that library adds to these;
- `modules`: its modules after pooling; `keys`: each key of its files;
- `length`: the longest text; `json_file`: a file of JSON;
- `adapters`: small weights beside a model's own, refused;
- `architecture`: the numbers of BERT and its relatives, and the tensors they have; `names`: theirs under BERT's;
- `attention_bias`: what MPNet adds to scores of attention;
- `weights`: its tensors under canonical names;
- `tokenizer`: its fast tokenizer, as transformers loads it;
- `tokenizer_parts`: what that consists of, the same with 4 and 5;
- `transformers_5`: what transformers 5 writes under names of its own;
- `reference`: the same model run by transformers;
- `quiet`: the noise of transformers, optimum and torch, silenced;
- `ranges`: how large each layer's results become there;
- `model`: all of these, read with an export's options;
- `beside`: small files of a checkpoint's kind, written for other programs.
"""
